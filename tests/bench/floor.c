// The floor of the fan-out benchmark: the least a server can do to deliver one message to many WebSockets.
//
// One epoll loop. A timer fires RATE times a second; each time the same frame is sent to every client with one send().
// No queue, no broker, no filter, no heartbeat, no close handshake: what remains is the kernel's work.
//
//   floor PORT RATE PADDING
//
// PADDING is the number of filler bytes in the message, beside the time at which it was made.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CLIENTS = 20000, MAX_EVENTS = 512, MAX_FRAME = 8192 };

static const char upgrade[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Accept: ";

static int clients[MAX_CLIENTS], count;

static size_t make_frame(unsigned char *frame, int padding) {
    static char text[MAX_FRAME - 4];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int size = snprintf(text, sizeof text, "{\"type\":\"new_signal\",\"reasoning\":\"%lld\",\"padding\":\"",
                        (long long)now.tv_sec * 1000000000LL + now.tv_nsec);
    memset(text + size, 'x', (size_t)padding);
    size += padding;
    memcpy(text + size, "\"}", 2);
    size += 2;
    frame[0] = 0x81;
    frame[1] = 126;
    frame[2] = (unsigned char)(size >> 8);
    frame[3] = (unsigned char)size;
    memcpy(frame + 4, text, (size_t)size);
    return (size_t)size + 4;
}

static void drop(int fd) {
    for (int i = 0; i < count; i++)
        if (clients[i] == fd) clients[i] = clients[--count];
    close(fd);
}

// SHA-1 is only needed for the handshake, which is not what is measured: `openssl` would be a dependency, so here it is.
static uint32_t rol(uint32_t v, int n) { return v << n | v >> (32 - n); }

static void sha1(const unsigned char *data, size_t size, unsigned char *out) {
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    unsigned char block[192] = {0};
    size_t total = (size + 8) / 64 * 64 + 64;
    memcpy(block, data, size);
    block[size] = 0x80;
    for (int i = 0; i < 8; i++) block[total - 1 - i] = (unsigned char)((uint64_t)size * 8 >> (8 * i));
    for (size_t at = 0; at < total; at += 64) {
        uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
        for (int i = 0; i < 16; i++) {
            const unsigned char *p = block + at + 4 * i;
            w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
        }
        for (int i = 16; i < 80; i++) w[i] = rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        for (int i = 0; i < 80; i++) {
            uint32_t f, k;
            if (i < 20) f = (b & c) | (~b & d), k = 0x5A827999;
            else if (i < 40) f = b ^ c ^ d, k = 0x6ED9EBA1;
            else if (i < 60) f = (b & c) | (b & d) | (c & d), k = 0x8F1BBCDC;
            else f = b ^ c ^ d, k = 0xCA62C1D6;
            uint32_t t = rol(a, 5) + f + e + k + w[i];
            e = d, d = c, c = rol(b, 30), b = a, a = t;
        }
        h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
    }
    for (int i = 0; i < 20; i++) out[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static void answer_upgrade(int fd, const char *request) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *key = strcasestr(request, "sec-websocket-key:");
    if (!key) return drop(fd);
    key += strspn(key + 18, " ") + 18;
    char seed[128], response[256];
    unsigned char digest[21] = {0};
    int size = snprintf(seed, sizeof seed, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", (int)strcspn(key, " \r\n"), key);
    sha1((unsigned char *)seed, (size_t)size, digest);
    int at = snprintf(response, sizeof response, "%s", upgrade);
    for (int i = 0; i < 21; i += 3) {
        uint32_t v = (uint32_t)digest[i] << 16 | (uint32_t)digest[i + 1] << 8 | digest[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6) response[at++] = alphabet[v >> shift & 63];
    }
    response[at - 1] = '=';
    at += snprintf(response + at, sizeof response - (size_t)at, "\r\n\r\n");
    if (write(fd, response, (size_t)at) == at && count < MAX_CLIENTS) clients[count++] = fd;
    else close(fd);
}

int main(int argc, char **argv) {
    if (argc != 4) errx(2, "usage: floor PORT RATE PADDING");
    double rate = atof(argv[2]);
    int padding = atoi(argv[3]), yes = 1;
    if (rate < 1 || padding < 0 || padding > 7000) errx(2, "RATE from 1, PADDING from 0 to 7000");
    struct rlimit files = {MAX_CLIENTS + 64, MAX_CLIENTS + 64};
    setrlimit(RLIMIT_NOFILE, &files);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) err(1, "listen");
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), poll = epoll_create1(0);
    long period = (long)(1e9 / rate);
    struct timespec tick = {period / 1000000000, period % 1000000000};
    timerfd_settime(timer, 0, &(struct itimerspec){tick, tick}, NULL);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[MAX_EVENTS];
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    event.data.fd = timer;
    epoll_ctl(poll, EPOLL_CTL_ADD, timer, &event);
    static unsigned char frame[MAX_FRAME];
    char request[MAX_FRAME];
    for (;;) {
        int ready = epoll_wait(poll, events, MAX_EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                for (int client; (client = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
                    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
                    event.data.fd = client;
                    epoll_ctl(poll, EPOLL_CTL_ADD, client, &event);
                }
            } else if (fd == timer) {
                uint64_t fired;
                if (read(timer, &fired, sizeof fired) != sizeof fired) continue;
                size_t size = make_frame(frame, padding);
                for (int c = 0; c < count; c++) send(clients[c], frame, size, MSG_DONTWAIT | MSG_NOSIGNAL);
            } else {
                ssize_t size = read(fd, request, sizeof request - 1);
                if (size <= 0) {
                    drop(fd);
                    continue;
                }
                request[size] = 0;
                if (!strncmp(request, "GET ", 4)) answer_upgrade(fd, request);
            }
        }
    }
}
