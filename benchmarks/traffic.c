/* The other end of every benchmark, and the ceiling: what a program in C does that
 * only moves the bytes.
 *
 *   traffic source shape=S size=B count=N [mixed=1]  one connection: N frames, then the end
 *   traffic sink [wait=1]                            one connection: reads to its end
 *   traffic echo connections=C                       sends back what comes, until C have ended
 *   traffic hold [port=P] [addresses=A]              keeps what connects, until stdin ends
 *   traffic drain|pour|ask HOST PORT ...             the same, as a client: the raw readers
 *
 * Servers listen on 127.0.0.1 (hold: and the addresses after it), print the port as
 * their first line, and at the end a line of JSON: bytes, seconds (from the accept to the
 * end; echo: from the first byte to the last), and their own CPU seconds. Shapes: lines, crlf, length,
 * netstring, octet; size is that of the whole frame on the wire. mixed (of an even count, not
 * for the latter two): no two sizes in a row are the same, each pair has twice the size.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (256 * 1024)
#define BINS 1200 /* tenths of a second that `hold` keeps count of */
#define CHECK(what) do { if ((what) < 0) { perror(#what); exit(1); } } while (0)

static int argument_count;
static char **arguments;

static const char *text(const char *name, const char *otherwise) {
    size_t length = strlen(name);
    for (int n = 2; n < argument_count; n++)
        if (!strncmp(arguments[n], name, length) && arguments[n][length] == '=')
            return arguments[n] + length + 1;
    return otherwise;
}

static long long number(const char *name, long long otherwise) {
    const char *found = text(name, NULL);
    return found ? atoll(found) : otherwise;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void raise_limit(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static struct sockaddr_in place(uint32_t host, int port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    at.sin_addr.s_addr = htonl(host);
    return at;
}

/* Listen on 127.0.0.(1 + nth); gives -1 where that port is taken there. */
static int listening(int nth, int port) {
    struct sockaddr_in at = place(INADDR_LOOPBACK + (uint32_t)nth, port);
    int one = 1, server = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(server);
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(server, (struct sockaddr *)&at, sizeof at) < 0) {
        close(server);
        return -1;
    }
    CHECK(listen(server, 4096));
    return server;
}

static int port_of(int server) {
    struct sockaddr_in at;
    socklen_t size = sizeof at;
    CHECK(getsockname(server, (struct sockaddr *)&at, &size));
    return ntohs(at.sin_port);
}

static void undelayed(int link) {
    int one = 1;
    setsockopt(link, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static int accepted(int server) {
    int link = accept(server, NULL, NULL);
    CHECK(link);
    undelayed(link);
    return link;
}

static int one_server(void) {
    int server = listening(0, (int)number("port", 0));
    CHECK(server);
    printf("%d\n", port_of(server));
    fflush(stdout);
    return server;
}

static int dialled(void) {
    struct sockaddr_in at = place(INADDR_LOOPBACK, atoi(arguments[3]));
    int link = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(link);
    CHECK(inet_pton(AF_INET, arguments[2], &at.sin_addr));
    CHECK(connect(link, (struct sockaddr *)&at, sizeof at));
    undelayed(link);
    return link;
}

static void report(long long bytes, double seconds) {
    printf("{\"bytes\": %lld, \"seconds\": %.6f, \"cpu\": %.6f}\n", bytes, seconds, cpu());
    fflush(stdout);
}

/* One frame of `size` bytes on the wire. */
static void make_frame(char *into, const char *shape, long size) {
    char head[32] = "";
    long behind = 0, ahead = 0;
    if (!strcmp(shape, "lines")) behind = 1;
    else if (!strcmp(shape, "crlf")) behind = 2;
    else if (!strcmp(shape, "length")) ahead = 4;
    else { /* netstring, octet: the digits count themselves */
        behind = !strcmp(shape, "netstring");
        do {
            ahead++;
            snprintf(head, sizeof head, "%ld%c", size - ahead - behind, behind ? ':' : ' ');
        } while ((long)strlen(head) != ahead);
    }
    for (long n = 0; n < size; n++) into[n] = (char)('a' + n % 26);
    if (!strcmp(shape, "length")) {
        uint32_t length = htonl((uint32_t)(size - 4));
        memcpy(into, &length, 4);
    } else memcpy(into, head, (size_t)ahead);
    if (!strcmp(shape, "lines")) into[size - 1] = '\n';
    if (!strcmp(shape, "crlf")) memcpy(into + size - 2, "\r\n", 2);
    if (!strcmp(shape, "netstring")) into[size - 1] = ',';
}

static void send_frames(int link) {
    long size = (long)number("size", 100);
    long long left = number("count", 0) * size, sent;
    long long many = size < CHUNK ? 4 * CHUNK / size / 2 * 2 : 1, at = 0;
    char *frames = malloc((size_t)(many * size));
    for (long long n = 0; n < many; n++) {
        long more = number("mixed", 0) ? 1 + (long)(n / 2 * 7 % (size / 2 - 1)) : 0;
        make_frame(frames + at, text("shape", "lines"), n % 2 ? size + more : size - more);
        at += n % 2 ? size + more : size - more;
    }
    for (at = 0; left > 0; left -= sent, at = (at + sent) % (many * size)) {
        long long most = many * size - at;
        if (most > CHUNK) most = CHUNK;
        if (most > left) most = left;
        sent = send(link, frames + at, (size_t)most, MSG_NOSIGNAL);
        if (sent < 0) {
            perror("send");
            exit(1);
        }
    }
    free(frames);
}

static long long read_all(int link) {
    char *buffer = malloc(CHUNK);
    long long total = 0;
    ssize_t got;
    while ((got = recv(link, buffer, CHUNK, 0)) > 0) total += got;
    free(buffer);
    return total;
}

static void source(void) {
    int server = one_server();
    int link = accepted(server);
    double began = now();
    send_frames(link);
    shutdown(link, SHUT_WR);
    read_all(link); /* it has them all when it closes */
    report(number("count", 0) * number("size", 100), now() - began);
}

static void sink(void) {
    int server = one_server();
    int link = accepted(server);
    double began = now();
    long long total = read_all(link);
    report(total, now() - began);
}

static void echo(void) {
    int server = one_server(), poll = epoll_create1(0), ended = 0, open = 0;
    int expected = (int)number("connections", 1);
    struct epoll_event ready[512], event = {.events = EPOLLIN, .data.fd = server};
    char buffer[65536];
    long long total = 0;
    double began = 0, last = 0;
    CHECK(epoll_ctl(poll, EPOLL_CTL_ADD, server, &event));
    while (ended < expected) {
        int count = epoll_wait(poll, ready, 512, -1);
        CHECK(count);
        for (int n = 0; n < count; n++) {
            int link = ready[n].data.fd;
            if (link == server) {
                event.data.fd = accepted(server);
                CHECK(epoll_ctl(poll, EPOLL_CTL_ADD, event.data.fd, &event));
                open++;
                continue;
            }
            ssize_t got = recv(link, buffer, sizeof buffer, 0);
            if (got <= 0) {
                close(link);
                ended++;
                continue;
            }
            if (!total) began = now();
            total += got;
            if (send(link, buffer, (size_t)got, MSG_NOSIGNAL) != got) exit(1);
            last = now();
        }
    }
    report(total, last - began);
}

static void hold(void) {
    int poll = epoll_create1(0), addresses = (int)number("addresses", 1), port;
    int servers[64], open = 0, total = 0, most = 0, going = 1;
    static int bins[BINS];
    struct epoll_event ready[512], event = {.events = EPOLLIN};
    double began, first = 0, last = 0;
again:
    port = (int)number("port", 0);
    for (int n = 0; n < addresses; n++) {
        servers[n] = listening(n, port);
        if (servers[n] < 0) {
            if (number("port", 0)) exit(1);
            while (n--) close(servers[n]);
            goto again;
        }
        port = port_of(servers[n]);
    }
    for (int n = 0; n < addresses; n++) {
        fcntl(servers[n], F_SETFL, O_NONBLOCK);
        event.data.fd = servers[n];
        CHECK(epoll_ctl(poll, EPOLL_CTL_ADD, servers[n], &event));
    }
    event.data.fd = 0;
    CHECK(epoll_ctl(poll, EPOLL_CTL_ADD, 0, &event));
    printf("%d\n", port);
    fflush(stdout);
    began = now();
    while (going) {
        int count = epoll_wait(poll, ready, 512, -1);
        CHECK(count);
        for (int n = 0; n < count; n++) {
            int ours = 0, link = ready[n].data.fd;
            char buffer[4096];
            if (!link) {
                going = 0;
                continue;
            }
            for (int each = 0; each < addresses; each++) ours |= servers[each] == link;
            if (!ours) {
                if (recv(link, buffer, sizeof buffer, 0) <= 0) {
                    close(link);
                    open--;
                }
                continue;
            }
            while ((event.data.fd = accept(link, NULL, NULL)) >= 0) {
                int bin = (int)(10 * (now() - began));
                CHECK(epoll_ctl(poll, EPOLL_CTL_ADD, event.data.fd, &event));
                last = now() - began;
                if (!total++) first = last;
                if (++open > most) most = open;
                bins[bin < BINS ? bin : BINS - 1]++;
            }
        }
    }
    printf("{\"accepted\": %d, \"most\": %d, \"first\": %.6f, \"last\": %.6f, \"cpu\": %.6f, "
           "\"tenths\": [", total, most, first, last, cpu());
    for (int n = 0, end = (int)(10 * last) + 1; n < end && n < BINS; n++)
        printf("%s%d", n ? "," : "", bins[n]);
    printf("]}\n");
}

/* connections=C requests=R of 64 bytes on each: the next when the reply is in. */
static void ask(void) {
    int connections = (int)number("connections", 1), open = connections;
    long long each = number("requests", 1000), done = 0;
    long long *left = calloc(65536, sizeof *left);
    int *links = calloc((size_t)connections, sizeof *links), poll = epoll_create1(0);
    char request[64], reply[65536];
    struct epoll_event ready[512], event = {.events = EPOLLIN};
    memset(request, 'q', 63);
    request[63] = '\n';
    for (int n = 0; n < connections; n++) {
        event.data.fd = links[n] = dialled();
        left[links[n]] = each;
        CHECK(epoll_ctl(poll, EPOLL_CTL_ADD, links[n], &event));
    }
    for (int n = 0; n < connections; n++) CHECK(send(links[n], request, 64, 0));
    while (open) {
        int count = epoll_wait(poll, ready, 512, -1);
        CHECK(count);
        for (int n = 0; n < count; n++) {
            int link = ready[n].data.fd;
            if (recv(link, reply, sizeof reply, 0) != 64) exit(1);
            done++;
            if (--left[link]) CHECK(send(link, request, 64, 0));
            else {
                close(link);
                open--;
            }
        }
    }
    printf("%lld\n", done);
}

static void drain(void) {
    printf("%lld\n", read_all(dialled()) / number("size", 100));
}

static void pour(void) {
    int link = dialled();
    send_frames(link);
    shutdown(link, SHUT_WR);
    read_all(link);
    printf("%lld\n", number("count", 0));
}

int main(int count, char **values) {
    static const struct { const char *name; void (*run)(void); } modes[] = {
        {"source", source}, {"sink", sink}, {"echo", echo}, {"hold", hold},
        {"drain", drain}, {"pour", pour}, {"ask", ask},
    };
    argument_count = count;
    arguments = values;
    signal(SIGPIPE, SIG_IGN);
    raise_limit();
    for (size_t n = 0; count > 1 && n < sizeof modes / sizeof *modes; n++)
        if (!strcmp(values[1], modes[n].name)) {
            modes[n].run();
            return 0;
        }
    fprintf(stderr, "usage: see the head of traffic.c\n");
    return 2;
}
