// Copyright (c) The muccore authors. See LICENSE for details.
// Two clients of Strophe.js, which Converse.js is built on, enter a room over BOSH and exchange messages, over
// connections that break and responses that are lost. Prints what happens, one line each, for
// tests/endtoend/test_bosh.py.
//
// node bosh.mjs SERVICE ORIGIN: as http://localhost:5280/http-bind, and the origin that a browser would send.

import http from "node:http";
import https from "node:https";
import { $iq, $msg, $pres, Strophe } from "strophe.js";

const [service, origin] = process.argv.slice(2);
const ROOM = "garden@conference.localhost";
const MUC = "http://jabber.org/protocol/muc";

// The requests of one client. Strophe.js uses the XMLHttpRequest of browsers, which sends the origin of the page.
class Network {
  constructor() {
    const { Agent } = service.startsWith("https:") ? https : http;
    this.agent = new Agent({ keepAlive: true });
    this.waiting = new Set();
    // How many of the next responses are lost, and how many have been.
    this.lose = 0;
    this.lost = 0;
  }

  breakConnections() {
    for (const request of this.waiting) request.destroy();
  }
}

// By the query of their URL.
const networks = {};

globalThis.XMLHttpRequest = class {
  readyState = 0;
  status = 0;
  responseText = "";
  responseXML = null;

  headers = { Origin: origin };

  overrideMimeType() {}

  getAllResponseHeaders() {
    return "";
  }

  open(method, url) {
    this.method = method;
    this.url = url;
    this.network = networks[new URL(url).search];
    this.readyState = 1;
  }

  setRequestHeader(name, value) {
    this.headers[name] = value;
  }

  send(body) {
    const { method, headers } = this;
    const { request } = this.url.startsWith("https:") ? https : http;
    this.request = request(this.url, { method, headers, agent: this.network.agent }, (response) => {
      response.setEncoding("utf8");
      let text = "";
      response.on("data", (data) => (text += data));
      response.on("end", () => {
        // One that has something in it.
        if (this.network.lose && text.includes("<message")) {
          this.network.lose--;
          this.network.lost++;
          this.done(0, "");
        } else {
          this.done(response.statusCode, text);
        }
      });
      response.on("error", () => this.done(0, ""));
    });
    this.request.on("error", () => this.done(0, ""));
    this.network.waiting.add(this.request);
    this.request.end(body);
  }

  abort() {
    this.request.destroy();
  }

  done(status, text) {
    if (this.readyState === 4) return;
    this.network.waiting.delete(this.request);
    this.status = status;
    this.responseText = text;
    this.responseXML = text && new DOMParser().parseFromString(text, "text/xml");
    this.readyState = 4;
    this.onreadystatechange?.();
  }
};

const print = (...words) => console.log(...words);

class Occupant {
  constructor(name) {
    this.name = name;
    this.network = networks[`?${name}`] = new Network();
    this.connection = new Strophe.Connection(`${service}?${name}`);
    this.waiting = [];
  }

  start() {
    const { connection } = this;
    return new Promise((resolve, reject) => {
      this.ended = new Promise((end) => {
        connection.connect(`${this.name}@localhost/web`, "secret", (status, condition) => {
          if (status === Strophe.Status.CONNECTED) {
            print(this.name, "online", connection.jid);
            connection.addHandler((stanza) => this.received(stanza), null, null, null, null, null);
            resolve();
          } else if (status === Strophe.Status.CONNFAIL || status === Strophe.Status.AUTHFAIL) {
            reject(new Error(`${this.name}: ${condition}`));
          } else if (status === Strophe.Status.DISCONNECTED) {
            print(this.name, "offline");
            end();
            reject(new Error(`${this.name}: disconnected`));
          }
        });
      });
    });
  }

  received(stanza) {
    this.waiting = this.waiting.filter(([matches, resolve]) => !matches(stanza) || resolve(stanza));
    return true;
  }

  // The next stanza that matches; called before what causes it.
  next(matches) {
    return new Promise((resolve) => this.waiting.push([matches, resolve]));
  }

  nextMessage(body) {
    return this.next((stanza) => {
      const found = stanza.tagName === "message" && stanza.getElementsByTagName("body")[0];
      return found && found.textContent === body;
    });
  }

  async enter() {
    const from = `${ROOM}/${this.name}`;
    const own = this.next((stanza) => stanza.tagName === "presence" && stanza.getAttribute("from") === from);
    this.connection.send($pres({ to: from }).c("x", { xmlns: MUC }));
    const codes = Array.from((await own).getElementsByTagName("status")).map((status) => status.getAttribute("code"));
    print(this.name, "entered", codes.sort().join(" "));
  }

  unlock() {
    const form = { xmlns: "jabber:x:data", type: "submit" };
    const iq = $iq({ to: ROOM, type: "set" }).c("query", { xmlns: `${MUC}#owner` }).c("x", form);
    return new Promise((resolve, reject) => this.connection.sendIQ(iq, resolve, reject));
  }

  sendMessage(body) {
    this.connection.send($msg({ to: ROOM, type: "groupchat" }).c("body").t(body));
  }

  stop() {
    this.connection.disconnect("bye");
    return this.ended;
  }
}

Strophe.setLogLevel(Strophe.LogLevel.FATAL);
const romeo = new Occupant("romeo");
const juliet = new Occupant("juliet");
await romeo.start();
await juliet.start();
await romeo.enter();
await romeo.unlock();
await juliet.enter();

async function exchange(sender, other, body) {
  const received = [sender, other].map((occupant) => occupant.nextMessage(body));
  sender.sendMessage(body);
  for (const message of await Promise.all(received)) print("message", message.getAttribute("from"), body.length);
}

await exchange(romeo, juliet, "<hello> & 'good' \"night\" €");
await exchange(juliet, romeo, "x".repeat(100_000));

// What is sent meanwhile arrives when the request comes again.
juliet.network.breakConnections();
await exchange(romeo, juliet, "while the connection is broken");

// A response that is lost is fetched again.
juliet.network.lose = 1;
await exchange(romeo, juliet, "in a response that is lost");
print("juliet", "lost", juliet.network.lost);

// Many at once arrive in order.
const numbers = Array.from({ length: 20 }, (_, number) => `message ${number}`);
const arrived = [];
const all = juliet.next((stanza) => {
  if (stanza.tagName === "message") arrived.push(stanza.getElementsByTagName("body")[0].textContent);
  return arrived.length === numbers.length;
});
for (const number of numbers) romeo.sendMessage(number);
await all;
print("in order", arrived.join() === numbers.join());

for (const occupant of [romeo, juliet]) await occupant.stop();
process.exit(0);
