// Copyright (c) The muccore authors. See LICENSE for details.
// Two clients of xmpp.js enter a room and exchange messages; one loses its connection and resumes its session. Prints
// what happens, one line each, for tests/endtoend/test_browser.py.
//
// node chat.mjs SERVICE ORIGIN: as ws://localhost:5280/xmpp-websocket, and the origin that a browser would send.

import { client, xml } from "@xmpp/client";
import { webcrypto } from "node:crypto";
import WebSocket from "ws";

const [service, origin] = process.argv.slice(2);
const ROOM = "garden@conference.localhost";
const MUC = "http://jabber.org/protocol/muc";

// Not global in Node.js 18.
globalThis.crypto ??= webcrypto;

// xmpp.js uses the WebSocket of browsers, which sends the origin of the page.
globalThis.WebSocket = class extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { origin });
  }
};

const print = (...words) => console.log(...words);

class Occupant {
  constructor(name) {
    this.name = name;
    this.waiting = [];
    this.xmpp = client({ service, domain: "localhost", resource: "web", username: name, password: "secret" });
    this.xmpp.reconnect.delay = 10;
    this.xmpp.on("error", (error) => print(name, "error", error.message));
    this.xmpp.on("stanza", (stanza) => {
      this.waiting = this.waiting.filter(([matches, resolve]) => !matches(stanza) || resolve(stanza));
    });
  }

  // The next stanza that matches; called before what causes it.
  next(matches) {
    return new Promise((resolve) => this.waiting.push([matches, resolve]));
  }

  nextMessage(body) {
    return this.next((stanza) => stanza.is("message") && stanza.getChildText("body") === body);
  }

  async start() {
    print(this.name, "online", (await this.xmpp.start()).toString());
  }

  async enter() {
    const own = this.next((stanza) => stanza.is("presence") && stanza.attrs.from === `${ROOM}/${this.name}`);
    await this.xmpp.send(xml("presence", { to: `${ROOM}/${this.name}` }, xml("x", { xmlns: MUC })));
    const codes = (await own).getChild("x", `${MUC}#user`).getChildren("status").map((status) => status.attrs.code);
    print(this.name, "entered", codes.sort().join(" "));
  }

  sendMessage(body) {
    return this.xmpp.send(xml("message", { to: ROOM, type: "groupchat" }, xml("body", {}, body)));
  }
}

const romeo = new Occupant("romeo");
const juliet = new Occupant("juliet");
await romeo.start();
await juliet.start();
await romeo.enter();
const form = xml("x", { xmlns: "jabber:x:data", type: "submit" });
await romeo.xmpp.iqCaller.set(xml("query", { xmlns: `${MUC}#owner` }, form), ROOM);
await juliet.enter();

for (const [sender, other, body] of [
  [romeo, juliet, "<hello> & 'good' \"night\" €"],
  [juliet, romeo, "x".repeat(100_000)],
]) {
  const received = [sender, other].map((occupant) => occupant.nextMessage(body));
  await sender.sendMessage(body);
  for (const message of await Promise.all(received)) print("message", message.attrs.from, body.length);
}

const resumed = new Promise((resolve) => juliet.xmpp.streamManagement.once("resumed", resolve));
const missed = juliet.nextMessage("missed");
juliet.xmpp.socket.socket.terminate();
await new Promise((resolve) => juliet.xmpp.once("disconnect", resolve));
await romeo.sendMessage("missed");
await resumed;
print("juliet", "resumed", (await missed).attrs.from);

for (const occupant of [romeo, juliet]) {
  await occupant.xmpp.stop();
  print(occupant.name, "offline");
}
