/* Copyright (c) The muccore authors. See LICENSE for details.
 *
 * A load for group chat servers on loopback, fast enough to keep any of them busy.
 *
 *   cc -O2 -o load load.c -lssl -lcrypto
 *   ./load --port 5222 --users 500 --rooms 1 --senders 5 --messages 200 --pid $(pidof server)
 *
 * It logs in --users accounts (u0@DOMAIN, u1@DOMAIN ... password `pw`, SASL PLAIN), spreads them over --rooms rooms,
 * lets each enter its room, and then lets --senders occupants of every room send --messages messages each: the next
 * one when the last has come back, with --window of them under way (closed loop), or --rate a second in all (open
 * loop). A message carries its send time, so that every delivery is counted and its latency taken.
 *
 * It prints one JSON object: wall times, the CPU time of the server's processes (--pid, separated by commas) per
 * log-in, presence while the rooms fill and message delivered, and their memory per silent client. Each phase ends
 * after --timeout seconds at the latest; the exit status is 1 unless everything has arrived.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum state { IDLE, FEATURES1, PROCEED, TLS, FEATURES_TLS, SUCCESS, FEATURES2, BOUND, READY, JOINING, JOINED, DEAD };

struct conn {
	int fd, user, room;
	enum state st;
	SSL *ssl;
	char *in, *out;
	size_t in_len, in_cap, out_len, out_cap;
	int sent, sender, creator, inflight, want_write;
	long presences, messages;
};

static const char *host = "127.0.0.1", *domain = "localhost", *muc = "conference.localhost", *pids = "", *prefix = "u", *password = "pw", *roomname = "load";
static int port = 5222, users = 100, rooms = 1, senders = 1, messages = 100, window = 1, tls = 0, concurrency = 64, size = 64, timeout_s = 120, first_user = 0;
static double rate = 0;
static int ep, n_ready, n_joined, n_dead, ip_spread = 0;
static long deliveries, expected;
static struct conn *conns;
static SSL_CTX *ctx;
#define HB 40000
static uint32_t hist[HB]; /* latency histogram: 10 us buckets up to 0.1 s, then 1 ms */

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }

static double cpu_of_pids(void)
{
	double total = 0; const char *p = pids;
	while (*p) {
		int pid = strtol(p, (char **)&p, 10); if (*p == ',') p++;
		struct timespec t; /* the kernel's clock of a whole process: nanoseconds, where /proc/PID/stat has hundredths of a second */
		if (!clock_gettime(((clockid_t)~pid << 3) | 2, &t)) total += t.tv_sec + t.tv_nsec / 1e9;
	}
	return total;
}

static long rss_of_pids(void) /* KiB; proportional set size where the kernel gives it */
{
	long total = 0; char buf[256]; const char *p = pids;
	while (*p) {
		int pid = strtol(p, (char **)&p, 10); if (*p == ',') p++;
		snprintf(buf, sizeof buf, "/proc/%d/smaps_rollup", pid);
		FILE *f = fopen(buf, "r"); if (!f) continue;
		while (fgets(buf, sizeof buf, f)) { long v; if (sscanf(buf, "Pss: %ld kB", &v) == 1) total += v; }
		fclose(f);
	}
	return total;
}

static void die(struct conn *c, const char *why)
{
	if (c->st == DEAD) return;
	if (n_dead < 3) fprintf(stderr, "load: user %d: %s (state %d): %.300s\n", c->user, why, c->st, c->in_len ? c->in : "");
	c->st = DEAD; n_dead++; close(c->fd);
}

static void arm(struct conn *c, int w)
{
	if (c->want_write == w) return;
	struct epoll_event e = { .events = EPOLLIN | (w ? EPOLLOUT : 0), .data.ptr = c };
	epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e); c->want_write = w;
}

static void flush_out(struct conn *c)
{
	while (c->out_len) {
		ssize_t n = c->ssl ? SSL_write(c->ssl, c->out, c->out_len) : send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);
		if (n <= 0) { if (c->ssl ? SSL_get_error(c->ssl, n) <= SSL_ERROR_WANT_WRITE + 1 : errno == EAGAIN) { arm(c, 1); return; } die(c, "write"); return; }
		memmove(c->out, c->out + n, c->out_len - n); c->out_len -= n;
	}
	arm(c, 0);
}

static void put(struct conn *c, const char *s, size_t n)
{
	if (c->st == DEAD) return;
	if (c->out_len + n > c->out_cap) { c->out_cap = (c->out_len + n) * 2; c->out = realloc(c->out, c->out_cap); }
	memcpy(c->out + c->out_len, s, n); c->out_len += n; flush_out(c);
}
static void say(struct conn *c, const char *fmt, ...)
{
	char b[8192]; va_list a; va_start(a, fmt); int n = vsnprintf(b, sizeof b, fmt, a); va_end(a); put(c, b, n);
}

static void header(struct conn *c)
{
	say(c, "<?xml version='1.0'?><stream:stream to='%s' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", domain);
}

static void start(struct conn *c)
{
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (ip_spread) { /* ports of one source address run out near 28,000 connections */
		struct sockaddr_in l = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002 + c->user / 20000) };
		int one = 1; setsockopt(c->fd, SOL_IP, 24 /* IP_BIND_ADDRESS_NO_PORT */, &one, sizeof one); bind(c->fd, (void *)&l, sizeof l);
	}
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	inet_pton(AF_INET, host, &a.sin_addr);
	int one = 1; setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(c->fd, (void *)&a, sizeof a) && errno != EINPROGRESS) { die(c, "connect"); return; }
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT, .data.ptr = c }; c->want_write = 1;
	epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
	c->st = FEATURES1;
	header(c);
}

static void auth(struct conn *c)
{
	char raw[256]; unsigned char b64[512];
	int n = snprintf(raw, sizeof raw, "%c%s%d%c%s", 0, prefix, c->user, 0, password);
	EVP_EncodeBlock(b64, (unsigned char *)raw, n);
	say(c, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>", b64);
	c->st = SUCCESS;
}

static void send_message(struct conn *c)
{
	char pad[4096]; memset(pad, 'x', sizeof pad); pad[size < 4000 ? size : 4000] = 0;
	say(c, "<message to='%s%d@%s' type='groupchat' id='m%d'><body>b:%d:%d:%.9f;%s</body></message>", roomname, c->room, muc, c->sent, c->user, c->sent, now(), pad);
	c->sent++; c->inflight++;
}

static int has(struct conn *c, const char *s) { return c->in_len && memmem(c->in, c->in_len, s, strlen(s)) != NULL; }
static void clear(struct conn *c) { c->in_len = 0; }

static void scan_messages(struct conn *c)
{
	char *p = c->in, *end = c->in + c->in_len, *q;
	double t = now();
	while ((q = memmem(p, end - p, "<body>b:", 8))) {
		char *semi = memchr(q, ';', end - q);
		if (!semi) { p = q; goto keep; }
		int who, seq; double sent;
		if (sscanf(q + 8, "%d:%d:%lf", &who, &seq, &sent) == 3) {
			deliveries++; c->messages++;
			double us = (t - sent) * 1e6; long b = us < 1e5 ? us / 10 : 10000 + (us - 1e5) / 1000;
			hist[b < 0 ? 0 : b >= HB ? HB - 1 : b]++;
			if (who == c->user) { c->inflight--; if (rate == 0 && c->sender && c->sent < messages) send_message(c); }
		}
		p = semi + 1;
	}
	if (end - p > 16) p = end - 16;
keep:
	memmove(c->in, p, end - p); c->in_len = end - p;
}

static void on_data(struct conn *c)
{
	switch (c->st) {
	case FEATURES1:
		if (!has(c, "</stream:features>") && !has(c, "</features>")) return;
		if (tls) { clear(c); say(c, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"); c->st = PROCEED; return; }
		clear(c); auth(c); return;
	case PROCEED:
		if (!has(c, "<proceed")) return;
		clear(c); c->ssl = SSL_new(ctx); SSL_set_fd(c->ssl, c->fd); SSL_set_connect_state(c->ssl); c->st = TLS;
		/* fallthrough */
	case TLS: return;
	case FEATURES_TLS:
		if (!has(c, "</stream:features>") && !has(c, "</features>")) return;
		clear(c); auth(c); return;
	case SUCCESS:
		if (has(c, "<failure")) { die(c, "auth"); return; }
		if (!has(c, "<success")) return;
		clear(c); c->st = FEATURES2; header(c); return;
	case FEATURES2:
		if (!has(c, "</stream:features>") && !has(c, "</features>")) return;
		clear(c); c->st = BOUND; say(c, "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>"); return;
	case BOUND:
		if (!has(c, "</iq>")) return;
		if (!has(c, "<jid>")) { die(c, "bind"); return; }
		clear(c); c->st = READY; n_ready++; return;
	case JOINING:
		/* who creates a room has entered when it is unlocked */
		if (c->creator ? has(c, "id='o'") || has(c, "id=\"o\"") : has(c, "code='110'") || has(c, "code=\"110\"")) { clear(c); c->st = JOINED; n_joined++; return; }
		if (has(c, "type='error'") || has(c, "type=\"error\"")) { die(c, "join"); return; }
		if (c->in_len > 256) { memmove(c->in, c->in + c->in_len - 256, 256); c->in_len = 256; }
		return;
	case JOINED: scan_messages(c); return;
	default: clear(c); return;
	}
}

static void on_event(struct conn *c, uint32_t ev)
{
	if (c->st == DEAD) return;
	if (c->st == TLS) {
		int r = SSL_connect(c->ssl);
		if (r == 1) { c->st = FEATURES_TLS; arm(c, 0); header(c); }
		else { int e = SSL_get_error(c->ssl, r); if (e == SSL_ERROR_WANT_WRITE) arm(c, 1); else if (e == SSL_ERROR_WANT_READ) arm(c, 0); else die(c, "tls"); return; }
	}
	if (ev & EPOLLOUT) flush_out(c);
	if (!(ev & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
	for (;;) {
		if (c->in_len + 65536 > c->in_cap) { c->in_cap = c->in_len + 131072; c->in = realloc(c->in, c->in_cap); }
		ssize_t n = c->ssl ? SSL_read(c->ssl, c->in + c->in_len, 65536) : recv(c->fd, c->in + c->in_len, 65536, 0);
		if (n <= 0) {
			if (c->ssl ? SSL_get_error(c->ssl, n) <= 3 && SSL_get_error(c->ssl, n) != 1 : (n < 0 && errno == EAGAIN)) break;
			die(c, "closed"); return;
		}
		c->in_len += n; on_data(c);
		if (c->st == TLS || c->st == DEAD) { if (c->st == TLS) on_event(c, EPOLLOUT); return; }
		if (!c->ssl && n < 65536) break;
	}
	if (c->st != JOINED && c->st != JOINING && c->in_cap > 262144) { free(c->in); c->in = NULL; c->in_len = c->in_cap = 0; }
	if (!c->in_len && c->in) { free(c->in); c->in = NULL; c->in_cap = 0; }
}

static void poll_once(int ms)
{
	struct epoll_event ev[512]; int n = epoll_wait(ep, ev, 512, ms);
	for (int i = 0; i < n; i++) on_event(ev[i].data.ptr, ev[i].events);
}

static double pct(double p)
{
	uint64_t tot = 0, acc = 0; for (int i = 0; i < HB; i++) tot += hist[i];
	for (int i = 0; i < HB; i++) { acc += hist[i]; if (acc >= p * tot && tot) return i < 10000 ? i * 10 / 1e3 : 100 + (i - 10000); }
	return 0;
}

int main(int argc, char **argv)
{
	static struct option o[] = { {"host", 1, 0, 'h'}, {"port", 1, 0, 'p'}, {"domain", 1, 0, 'd'}, {"muc", 1, 0, 'm'}, {"users", 1, 0, 'u'}, {"rooms", 1, 0, 'r'}, {"senders", 1, 0, 's'}, {"messages", 1, 0, 'n'}, {"window", 1, 0, 'w'}, {"rate", 1, 0, 'R'}, {"tls", 0, 0, 't'}, {"pid", 1, 0, 'P'}, {"concurrency", 1, 0, 'c'}, {"size", 1, 0, 'z'}, {"timeout", 1, 0, 'T'}, {"first-user", 1, 0, 'f'}, {"prefix", 1, 0, 'x'}, {"password", 1, 0, 'W'}, {"room-name", 1, 0, 'N'}, {0} };
	int k; while ((k = getopt_long(argc, argv, "", o, NULL)) != -1) switch (k) {
		case 'h': host = optarg; break; case 'p': port = atoi(optarg); break; case 'd': domain = optarg; break; case 'm': muc = optarg; break;
		case 'u': users = atoi(optarg); break; case 'r': rooms = atoi(optarg); break; case 's': senders = atoi(optarg); break; case 'n': messages = atoi(optarg); break;
		case 'w': window = atoi(optarg); break; case 'R': rate = atof(optarg); break; case 't': tls = 1; break; case 'P': pids = optarg; break;
		case 'c': concurrency = atoi(optarg); break; case 'z': size = atoi(optarg); break; case 'T': timeout_s = atoi(optarg); break; case 'f': first_user = atoi(optarg); break;
		case 'x': prefix = optarg; break; case 'W': password = optarg; break; case 'N': roomname = optarg; break; default: return 2; }
	if (strncmp(host, "127.", 4)) { fprintf(stderr, "load: loopback only\n"); return 2; }
	struct rlimit rl; getrlimit(RLIMIT_NOFILE, &rl); rl.rlim_cur = rl.rlim_max; setrlimit(RLIMIT_NOFILE, &rl);
	ip_spread = users > 20000;
	ctx = SSL_CTX_new(TLS_client_method()); SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	ep = epoll_create1(0); conns = calloc(users, sizeof *conns);
	double c0 = cpu_of_pids(), t0 = now(); long m0 = rss_of_pids();
	int started = 0;
	while (n_ready + n_dead < users && now() - t0 < timeout_s) {
		while (started < users && started - n_ready - n_dead < concurrency) { conns[started].user = first_user + started; conns[started].room = rooms ? started % rooms : 0; start(&conns[started++]); }
		poll_once(100);
	}
	double t_login = now() - t0, c_login = cpu_of_pids() - c0;
	if (n_ready < users) { printf("{\"error\": \"login\", \"ready\": %d, \"dead\": %d, \"of\": %d}\n", n_ready, n_dead, users); return 1; }
	usleep(500000); poll_once(0);
	long m1 = rss_of_pids();
	printf("{\"users\": %d, \"rooms\": %d, \"tls\": %d, \"login_per_s\": %.0f, \"login_cpu_us\": %.1f, \"conn_kib\": %.2f", users, rooms, tls, users / t_login, c_login / users * 1e6, (double)(m1 - m0) / users);
	fflush(stdout);
	double t_join = 0, c_join = 0, joinps = 0;
	if (rooms > 0 && messages >= 0) {
		/* the first occupant of every room creates it and accepts the default configuration */
		t0 = now(); c0 = cpu_of_pids();
		int next = 0, creators = rooms < users ? rooms : users;
		while (n_joined + n_dead < users && now() - t0 < timeout_s) {
			int limit = n_joined < creators ? creators : users;
			while (next < limit && next - n_joined - n_dead < concurrency) {
				struct conn *c = &conns[next++]; c->st = JOINING; c->creator = next <= creators;
				say(c, "<presence to='%s%d@%s/n%d'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>", roomname, c->room, muc, c->user);
				if (c->creator) say(c, "<iq type='set' id='o' to='%s%d@%s'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query></iq>", roomname, c->room, muc);
			}
			poll_once(100);
		}
		t_join = now() - t0;
		if (n_joined < users) { printf(", \"error\": \"join\", \"joined\": %d, \"dead\": %d}\n", n_joined, n_dead); return 1; }
		double quiet = now(); while (now() - quiet < 0.7) poll_once(100); /* let join presences drain */
		c_join = cpu_of_pids() - c0;
		double per = (double)users / rooms; joinps = rooms * (per * per) ; /* presences delivered: about N^2 a room */
		printf(", \"join_s\": %.3f, \"join_cpu_us_per_presence\": %.2f", t_join, joinps ? c_join / joinps * 1e6 : 0);
		fflush(stdout);
	}
	if (messages > 0 && n_joined) {
		int ns = 0; for (int i = 0; i < users && i < senders * rooms; i++) { conns[i].sender = 1; ns++; }
		long per_room_users = 0; expected = 0;
		for (int i = 0; i < ns; i++) { per_room_users = 0; for (int j = conns[i].room; j < users; j += rooms) per_room_users++; expected += per_room_users * messages; }
		t0 = now(); c0 = cpu_of_pids();
		if (rate == 0) { for (int i = 0; i < ns; i++) for (int w = 0; w < window && conns[i].sent < messages; w++) send_message(&conns[i]); while (deliveries < expected && n_dead == 0 && now() - t0 < timeout_s) poll_once(100); }
		else {
			long sent = 0, total = (long)ns * messages;
			while (deliveries < expected && n_dead == 0 && now() - t0 < timeout_s) {
				while (sent < total && sent < (now() - t0) * rate) { send_message(&conns[sent % ns]); sent++; }
				poll_once(1);
			}
		}
		double t_msg = now() - t0, c_msg = cpu_of_pids() - c0;
		printf(", \"messages\": %d, \"deliveries\": %ld, \"expected\": %ld, \"deliveries_per_s\": %.0f, \"msg_per_s\": %.0f, \"cpu_us_per_delivery\": %.2f, \"p50_ms\": %.2f, \"p99_ms\": %.2f, \"max_ms\": %.2f", ns * messages, deliveries, expected, deliveries / t_msg, ns * messages / t_msg, c_msg / (deliveries ? deliveries : 1) * 1e6, pct(.5), pct(.99), pct(1));
	}
	printf(", \"server_mib\": %.1f, \"dead\": %d}\n", rss_of_pids() / 1024.0, n_dead);
	return messages > 0 && rooms > 0 && deliveries < expected;
}
