/* Copyright (c) The muccore authors. See LICENSE for details.
 *
 * The floor: a C program that makes the system calls of an XMPP server for the load of load.c, and little else. What a
 * server costs beyond it is the server's own. It answers by what it finds in the input, without parsing: log-in with
 * SASL PLAIN, after STARTTLS if it has a certificate, whatever the password; entering a room, whose name ends in its
 * number; messages to a room. Its stanzas are as long as muccore's.
 *
 *   cc -O2 -o floor floor.c -lssl -lcrypto
 *   ./floor PORT each|joined [CERTIFICATE KEY]
 *
 * `each` sends every stanza at once, to each recipient; `joined` sends what one turn of the loop has written to a
 * recipient together, at the end of the turn. It listens on loopback only, and ends with SIGTERM.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROOMS = 100000, READ = 65536, EVENTS = 512 };
enum stage { OPEN, ENCRYPTED, AUTHENTICATED, BOUND };

struct client {
	int fd, number, room, place, dirty, polled, lost;
	enum stage stage;
	SSL *ssl;
	char user[64], nick[64];
	char *in, *out; /* what is not handled, and not sent */
	size_t in_size, in_room, out_size, out_room;
};

static struct room { struct client **occupants; int count, capacity; } rooms[ROOMS];
static struct client **dirty;
static size_t n_dirty, dirty_capacity;
static int poller, joined, clients;
static SSL_CTX *context;
static const char ID[] = "04bd2087b313d5ba5a73edea96959c39c5a1aa83c9b8b86712cd9860c9c459b4";

static void *grown(void *p, size_t size)
{
	if (!(p = realloc(p, size))) abort();
	return p;
}

static void poll_for(struct client *c, int writing)
{
	if (c->polled == writing) return;
	struct epoll_event e = { .events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = c };
	epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
	c->polled = writing;
}

static int try_later(struct client *c, ssize_t n)
{
	if (!c->ssl) return n < 0 && (errno == EAGAIN || errno == EINTR);
	int e = SSL_get_error(c->ssl, n);
	return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE;
}

static void flush(struct client *c)
{
	size_t done = 0;
	while (done < c->out_size && !c->lost) {
		ssize_t n = c->ssl ? SSL_write(c->ssl, c->out + done, c->out_size - done)
		                   : send(c->fd, c->out + done, c->out_size - done, MSG_NOSIGNAL);
		if (n > 0) done += n;
		else if (try_later(c, n)) break;
		else c->lost = 1;
	}
	c->out_size -= done;
	if (c->out_size) memmove(c->out, c->out + done, c->out_size);
	else { free(c->out); c->out = NULL; c->out_room = 0; }
	if (!c->lost) poll_for(c, c->out_size > 0);
}

/* Write the pieces, up to NULL. */
static void put(struct client *c, const char *piece, ...)
{
	va_list rest;
	va_start(rest, piece);
	for (; piece; piece = va_arg(rest, const char *)) {
		size_t n = strlen(piece);
		if (c->out_size + n > c->out_room) c->out = grown(c->out, c->out_room = (c->out_size + n) * 2);
		memcpy(c->out + c->out_size, piece, n);
		c->out_size += n;
	}
	va_end(rest);
	if (!joined) flush(c);
	else if (!c->dirty) {
		c->dirty = 1;
		if (n_dirty == dirty_capacity) dirty = grown(dirty, (dirty_capacity = dirty_capacity * 2 + 64) * sizeof *dirty);
		dirty[n_dirty++] = c;
	}
}

static void features(struct client *c)
{
	put(c, "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
	       "from='localhost' version='1.0' xml:lang='en' id='0cc072922922d49e734e9286'><stream:features>",
	    c->stage == AUTHENTICATED ? "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><session xmlns='urn:ietf:params:xml:ns:"
	                                "xmpp-session'><optional/></session><sm xmlns='urn:xmpp:sm:3'/>"
	    : context && c->stage == OPEN ? "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
	                                  : "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>",
	    "</stream:features>", NULL);
}

/* Copy what is between two marks. */
static void between(char *to, size_t size, const char *in, const char *begin, const char *end)
{
	const char *from = strstr(in, begin), *until = from ? strstr(from + strlen(begin), end) : NULL;
	size_t n = until ? (size_t)(until - from) - strlen(begin) : 0;
	if (n >= size) n = size - 1;
	if (n) memcpy(to, from + strlen(begin), n);
	to[n] = 0;
}

static void present(struct client *to, struct client *of, const char *room)
{
	put(to, "<presence to='", to->user, "' from='", room, "/", of->nick, "'><occupant-id xmlns='urn:xmpp:occupant-id:0' id='", ID,
	    "'/><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant' jid='", of->user, "'/>",
	    to == of ? "<status code='110'/>" : "", "</x></presence>", NULL);
}

/* The number of a room: the digits before the @ of its address. */
static int number(const char *address)
{
	const char *at = strchr(address, '@'), *p = at;
	while (p && p > address && p[-1] >= '0' && p[-1] <= '9') p--;
	return p ? abs(atoi(p)) % ROOMS : 0;
}

static void enter(struct client *c, const char *to)
{
	char room[256];
	snprintf(room, sizeof room, "%.*s", (int)strcspn(to, "/"), to);
	snprintf(c->nick, sizeof c->nick, "%s", to + strcspn(to, "/") + (strchr(to, '/') != NULL));
	struct room *r = &rooms[c->room = number(to)];
	if (r->count == r->capacity) r->occupants = grown(r->occupants, (r->capacity = r->capacity * 2 + 16) * sizeof *r->occupants);
	for (int i = 0; i < r->count; i++) present(c, r->occupants[i], room);
	c->place = r->count;
	r->occupants[r->count++] = c;
	for (int i = 0; i < r->count; i++) present(r->occupants[i], c, room);
	put(c, "<message to='", c->user, "' from='", room, "' type='groupchat'><subject/></message>", NULL);
}

static void leave(struct client *c)
{
	if (c->room < 0) return;
	struct room *r = &rooms[c->room];
	r->occupants[c->place] = r->occupants[--r->count];
	r->occupants[c->place]->place = c->place;
	for (int i = 0; i < r->count; i++)
		put(r->occupants[i], "<presence type='unavailable' from='", c->nick, "' to='", r->occupants[i]->user, "'/>", NULL);
}

static void message(struct client *c, const char *stanza)
{
	char to[256], id[64], body[8192];
	between(to, sizeof to, stanza, " to='", "'");
	between(id, sizeof id, stanza, " id='", "'");
	between(body, sizeof body, stanza, "<body>", "</body>");
	struct room *r = &rooms[number(to)];
	for (int i = 0; i < r->count; i++)
		put(r->occupants[i], "<message to='", r->occupants[i]->user, "' type='groupchat' id='", id, "' from='", to, "/", c->nick, "'><body>", body,
		    "</body><occupant-id xmlns='urn:xmpp:occupant-id:0' id='", ID, "'/><stanza-id xmlns='urn:xmpp:sid:0' "
		    "id='ee85db92-788f-46d7-b261-109da6d7c7a7' by='", to, "'/></message>", NULL);
}

/* Handle one element; NULL if it is not there yet, otherwise its end. */
static char *handle(struct client *c, char *in)
{
	char *end, to[256];
	if (!strncmp(in, "<?xml", 5)) {
		if (!(end = strstr(in, "streams'>"))) return NULL;
		features(c);
		return end + 9;
	}
	if (!strncmp(in, "<starttls", 9)) {
		if (!(end = strstr(in, "/>"))) return NULL;
		put(c, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", NULL);
		flush(c);
		c->ssl = SSL_new(context);
		SSL_set_fd(c->ssl, c->fd);
		SSL_set_accept_state(c->ssl);
		c->stage = ENCRYPTED;
		return end + 2;
	}
	if (!strncmp(in, "<auth", 5)) {
		if (!(end = strstr(in, "</auth>"))) return NULL;
		put(c, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", NULL);
		c->stage = AUTHENTICATED;
		return end + 7;
	}
	if (!strncmp(in, "<iq", 3)) {
		if (!(end = strstr(in, "</iq>"))) return NULL;
		if (c->stage == AUTHENTICATED) {
			snprintf(c->user, sizeof c->user, "u%d@localhost/r", c->number);
			put(c, "<iq id='bind' type='result'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>", c->user, "</jid></bind></iq>", NULL);
			c->stage = BOUND;
		} else put(c, "<iq to='", c->user, "' id='o' type='result'/>", NULL);
		return end + 5;
	}
	if (!strncmp(in, "<presence", 9)) {
		if (!(end = strstr(in, "</presence>"))) return NULL;
		between(to, sizeof to, in, " to='", "'");
		enter(c, to);
		return end + 11;
	}
	if (!strncmp(in, "<message", 8)) {
		if (!(end = strstr(in, "</message>"))) return NULL;
		*end = 0;
		message(c, in);
		return end + 10;
	}
	c->lost = *in != '<' || !strncmp(in, "</", 2);
	return NULL;
}

static void receive(struct client *c)
{
	while (!c->lost) {
		if (c->in_room < c->in_size + READ + 1) c->in = grown(c->in, c->in_room = c->in_size + READ + 1);
		ssize_t n = c->ssl ? SSL_read(c->ssl, c->in + c->in_size, READ) : recv(c->fd, c->in + c->in_size, READ, 0);
		if (n <= 0) { c->lost = !try_later(c, n); break; }
		c->in[c->in_size += n] = 0;
		char *at = c->in, *next;
		while (*at && (next = handle(c, at))) at = next;
		c->in_size -= at - c->in;
		memmove(c->in, at, c->in_size);
		if (!c->ssl && n < READ) break;
	}
	if (!c->in_size) { free(c->in); c->in = NULL; c->in_room = 0; }
}

static void drop(struct client *c)
{
	leave(c);
	if (c->ssl) SSL_free(c->ssl);
	close(c->fd);
	free(c->in);
	free(c->out);
	free(c);
}

static void take(int listener)
{
	for (int fd, one = 1; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		struct client *c = calloc(1, sizeof *c);
		if (!c) abort();
		c->fd = fd; c->number = clients++; c->room = -1;
		struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
		epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
	}
}

int main(int argc, char **argv)
{
	if (argc < 3) { fprintf(stderr, "usage: floor PORT each|joined [CERTIFICATE KEY]\n"); return 2; }
	joined = !strcmp(argv[2], "joined");
	if (argc > 4) {
		context = SSL_CTX_new(TLS_server_method());
		SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
		SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
		SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
		if (SSL_CTX_use_certificate_chain_file(context, argv[3]) != 1 || SSL_CTX_use_PrivateKey_file(context, argv[4], SSL_FILETYPE_PEM) != 1) {
			fprintf(stderr, "floor: unusable certificate or key\n");
			return 1;
		}
	}
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (bind(listener, (void *)&address, sizeof address) || listen(listener, 1024)) { perror("floor"); return 1; }
	poller = epoll_create1(0);
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = NULL }, events[EVENTS];
	epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
	for (;;) {
		int n = epoll_wait(poller, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			struct client *c = events[i].data.ptr;
			if (!c) { take(listener); continue; }
			if (events[i].events & EPOLLOUT) flush(c);
			if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
		}
		/* Those who leave are told to the others, in this turn. */
		for (int i = 0; i < n; i++) if (events[i].data.ptr && ((struct client *)events[i].data.ptr)->lost) leave(events[i].data.ptr), ((struct client *)events[i].data.ptr)->room = -1;
		for (size_t i = 0; i < n_dirty; i++) { dirty[i]->dirty = 0; if (!dirty[i]->lost) flush(dirty[i]); }
		n_dirty = 0;
		for (int i = 0; i < n; i++) if (events[i].data.ptr && ((struct client *)events[i].data.ptr)->lost) drop(events[i].data.ptr);
	}
}
