/*
 * The load generator for TLS servers, on OpenSSL: one process drives every server the same way.
 *
 *   load_tls echo PORT PID CONNECTIONS SIZE WARMUP_MS MEASURE_MS
 *       Each connection keeps one message of SIZE bytes in flight. Every byte that comes back is compared.
 *   load_tls handshake PORT PID CONNECTIONS SIZE WARMUP_MS MEASURE_MS
 *       Each connection makes a full handshake with TLS 1.3, gets a message of SIZE bytes echoed, says farewell and
 *       begins anew, over a new socket and without the session. An operation is all of that.
 *
 * Both print {"ops", "elapsed_ns", "server_cpu_ns"} of the measured window, which opens when the server has used
 * WARMUP_MS of CPU, or at the latest after ten times as long. PID is the server's; its CPU time is the kernel's count
 * (CLOCK_PROCESS_CPUTIME_ID, all threads, user and system).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
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

enum { READ_SIZE = 64 * 1024, PATTERN_SIZE = 1024 * 1024, BATCH = 256, STALL_MS = 10000 };

struct connection {
    SSL *ssl;
    int fd;
    size_t start;    /* where this message begins in the pattern */
    size_t sent;     /* bytes of it that were taken */
    size_t received; /* bytes of it that came back */
    uint32_t watching;
};

static unsigned char pattern[PATTERN_SIZE], incoming[READ_SIZE];
static struct connection *connections;
static int connection_count, epoll_fd, port, handshakes;
static size_t message_size;
static clockid_t server_clock;
static SSL_CTX *context;

static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("load_tls: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static int64_t read_clock(clockid_t clock)
{
    struct timespec now;
    if (clock_gettime(clock, &now) != 0)
        fail("clock: %s", strerror(errno));
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void watch(struct connection *connection, uint32_t what)
{
    if (connection->watching == what)
        return;
    struct epoll_event event = {.events = what, .data.ptr = connection};
    int operation = connection->watching == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (epoll_ctl(epoll_fd, operation, connection->fd, &event) != 0)
        fail("epoll_ctl: %s", strerror(errno));
    connection->watching = what;
}

static void open_connection(struct connection *connection)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("connect: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        fail("fcntl: %s", strerror(errno));
    connection->fd = fd;
    connection->watching = 0;
    connection->ssl = SSL_new(context);
    if (connection->ssl == NULL || !SSL_set_fd(connection->ssl, fd))
        fail("out of resources");
    SSL_set_tlsext_host_name(connection->ssl, "localhost");
    SSL_set_connect_state(connection->ssl);
}

static void close_connection(struct connection *connection)
{
    SSL_shutdown(connection->ssl);
    SSL_free(connection->ssl);
    close(connection->fd);
}

/* Whether OpenSSL only wants to wait. */
static int waits(struct connection *connection, int result)
{
    int error = SSL_get_error(connection->ssl, result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        fail("the connection failed (%d): %s", error, strerror(errno));
    watch(connection, error == SSL_ERROR_WANT_WRITE ? EPOLLIN | EPOLLOUT : EPOLLIN);
    return 1;
}

/* Begins the next message at another place of the pattern, so that a stale or shifted echo shows. */
static void next_message(struct connection *connection)
{
    connection->start = (connection->start + 4093) % (PATTERN_SIZE - message_size);
    connection->sent = connection->received = 0;
}

/* Sends what is left of the message and receives what there is. Returns 1 when all of it came back. */
static int exchange(struct connection *connection)
{
    while (connection->sent < message_size) {
        int n = SSL_write(connection->ssl, pattern + connection->start + connection->sent,
                          message_size - connection->sent);
        if (n <= 0 && waits(connection, n))
            return 0;
        connection->sent += n;
    }
    while (connection->received < message_size) {
        int n = SSL_read(connection->ssl, incoming, sizeof incoming);
        if (n <= 0 && waits(connection, n))
            return 0;
        if ((size_t)n > message_size - connection->received)
            fail("the server sent more than it got");
        if (memcmp(incoming, pattern + connection->start + connection->received, n) != 0)
            fail("the echoed bytes differ from what was sent");
        connection->received += n;
    }
    return 1;
}

static void begin(struct connection *connection)
{
    if (handshakes) {
        close_connection(connection);
        open_connection(connection);
    }
    next_message(connection);
}

static void run(int64_t warmup, int64_t length)
{
    struct epoll_event events[BATCH];
    uint64_t done = 0, at_open = 0;
    int64_t begun = read_clock(CLOCK_MONOTONIC), cpu = read_clock(server_clock);
    int measuring = 0;
    for (int i = 0; i < connection_count; i++)
        if (exchange(&connections[i]))
            fail("an echo came before it was sent");
    for (;;) {
        int n = epoll_wait(epoll_fd, events, BATCH, STALL_MS);
        if (n == 0)
            fail("nothing came back for %d seconds", STALL_MS / 1000);
        for (int i = 0; i < n; i++) {
            struct connection *connection = events[i].data.ptr;
            while (exchange(connection)) {
                done++;
                begin(connection);
            }
        }
        int64_t now = read_clock(CLOCK_MONOTONIC);
        if (!measuring) {
            if (read_clock(server_clock) - cpu < warmup && now - begun < 10 * warmup)
                continue;
            measuring = 1;
            at_open = done;
            begun = now;
            cpu = read_clock(server_clock);
        } else if (now - begun >= length) {
            printf("{\"ops\":%llu,\"elapsed_ns\":%lld,\"server_cpu_ns\":%lld}\n", (unsigned long long)(done - at_open),
                   (long long)(now - begun), (long long)(read_clock(server_clock) - cpu));
            return;
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 8)
        fail("usage: load_tls echo|handshake PORT PID CONNECTIONS SIZE WARMUP_MS MEASURE_MS");
    handshakes = strcmp(argv[1], "handshake") == 0;
    port = atoi(argv[2]);
    if (clock_getcpuclockid(atoi(argv[3]), &server_clock) != 0)
        fail("no process %s", argv[3]);
    connection_count = atoi(argv[4]);
    message_size = strtoul(argv[5], NULL, 10);
    if (connection_count < 1 || message_size < 1 || message_size > PATTERN_SIZE / 2)
        fail("1 or more connections and 1 to %d bytes, please", PATTERN_SIZE / 2);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    uint32_t random = 2463534242u;
    for (size_t i = 0; i < PATTERN_SIZE; i++) {
        random ^= random << 13, random ^= random >> 17, random ^= random << 5;
        pattern[i] = random;
    }
    context = SSL_CTX_new(TLS_client_method());
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    connections = calloc(connection_count, sizeof *connections);
    if (context == NULL || epoll_fd < 0 || connections == NULL)
        fail("out of resources");
    /* The certificate is the bench's own, and only the server is measured. */
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    for (int i = 0; i < connection_count; i++) {
        open_connection(&connections[i]);
        connections[i].start = (size_t)i * 8191 % (PATTERN_SIZE - message_size);
    }
    run(atoll(argv[6]) * 1000000, atoll(argv[7]) * 1000000);
    return 0;
}
