/*
 * The load generator: one process drives every server the same way, so that a difference between two
 * figures is a difference between two servers.
 *
 *   load echo PORT PID CONNECTIONS SIZE WARMUP_MS MEASURE_MS
 *       Each connection keeps one message of SIZE bytes in flight. Every byte that comes back is compared.
 *   load sink PORT PID CONNECTIONS SIZE WARMUP_MS MEASURE_MS
 *       Each connection writes SIZE bytes at a time for as long as the kernel takes them. At the end the
 *       connections are half-closed and the server has to read everything and close its side.
 *       Both print {"ops", "elapsed_ns", "server_cpu_ns"}: what happened inside the measured window. It opens when
 *       the server has used WARMUP_MS of CPU (so that a just-in-time compiler gets its work done however busy the
 *       machine is), or at the latest after ten times as long.
 *   load idle PORT PID
 *       Obeys lines on stdin: "open N" opens N more connections, "cpu" reads the clock. Prints
 *       {"open", "server_cpu_ns"} after each.
 *
 * PID is the server's: its CPU time is the kernel's own count in nanoseconds (CLOCK_PROCESS_CPUTIME_ID of that
 * process, all its threads included, user and system), read at both edges of the window.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READ_SIZE = 64 * 1024, PATTERN_SIZE = 1024 * 1024, BATCH = 256, STALL_MS = 10000 };

struct connection {
    int fd;
    size_t start;    /* where this message begins in the pattern */
    size_t sent;     /* bytes of it that the kernel took */
    size_t received; /* bytes of it that came back */
    uint32_t watching;
};

static unsigned char pattern[PATTERN_SIZE];
static unsigned char incoming[READ_SIZE];
static struct connection *connections;
static int connection_count, epoll_fd;
static size_t message_size;
static clockid_t server_clock;
static int has_server_clock;

static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static int64_t read_clock(clockid_t clock)
{
    struct timespec now;
    if (clock_gettime(clock, &now) != 0)
        fail("clock: %s", strerror(errno));
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t now_ns(void) { return read_clock(CLOCK_MONOTONIC); }

static int64_t server_cpu_ns(void) { return has_server_clock ? read_clock(server_clock) : 0; }

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

static int open_connection(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("socket: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("connect: %s", strerror(errno));
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        fail("fcntl: %s", strerror(errno));
    return fd;
}

/* Writes what is left of the current message. Returns whether the kernel took all of it. */
static int push(struct connection *connection)
{
    while (connection->sent < message_size) {
        ssize_t n = send(connection->fd, pattern + connection->start + connection->sent,
                         message_size - connection->sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EAGAIN)
                return 0;
            fail("send: %s", strerror(errno));
        }
        connection->sent += n;
    }
    return 1;
}

/* Begins the next message at another place of the pattern, so that a stale or shifted echo shows. */
static void next_message(struct connection *connection)
{
    connection->start = (connection->start + 4093) % (PATTERN_SIZE - message_size);
    connection->sent = connection->received = 0;
}

static void send_message(struct connection *connection)
{
    next_message(connection);
    watch(connection, push(connection) ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

/* Reads once. Returns 1 when it completed the message. */
static int receive_echo(struct connection *connection)
{
    ssize_t n = recv(connection->fd, incoming, sizeof incoming, 0);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0)
        fail("the server closed a connection: %s", n == 0 ? "end of file" : strerror(errno));
    if ((size_t)n > connection->sent - connection->received)
        fail("the server sent more than it got");
    if (memcmp(incoming, pattern + connection->start + connection->received, n) != 0)
        fail("the echoed bytes differ from what was sent");
    connection->received += n;
    return connection->received == message_size;
}

struct window {
    int64_t warmup, length;    /* of the server's CPU, of time */
    int64_t begin, cpu;        /* before the window opens: when the load began; then: when it opened */
    int64_t next_look;
    uint64_t done;
    int open;
};

static int warm(struct window *window, int64_t now)
{
    if (now < window->next_look)
        return 0;
    window->next_look = now + 1000000;
    int64_t used = has_server_clock ? server_cpu_ns() - window->cpu : now - window->begin;
    return used >= window->warmup || now - window->begin >= 10 * window->warmup;
}

/* Moves from warming up to measuring to done. Returns 0 when the measured window is over. */
static int advance(struct window *window, uint64_t done, uint64_t (*settle)(uint64_t))
{
    int64_t now = now_ns();
    if (!window->open) {
        if (!warm(window, now))
            return 1;
        window->open = 1;
        window->begin = now;
        window->done = settle(done);
        window->cpu = server_cpu_ns();
    } else if (now - window->begin >= window->length) {
        int64_t cpu = server_cpu_ns() - window->cpu;
        printf("{\"ops\":%.3f,\"elapsed_ns\":%lld,\"server_cpu_ns\":%lld}\n",
               (double)(settle(done) - window->done) / message_size, (long long)(now - window->begin),
               (long long)cpu);
        return 0;
    }
    return 1;
}

static int wait_ready(struct epoll_event *events)
{
    int n = epoll_wait(epoll_fd, events, BATCH, STALL_MS);
    if (n < 0 && errno != EINTR)
        fail("epoll_wait: %s", strerror(errno));
    if (n == 0)
        fail("nothing came back for %d seconds", STALL_MS / 1000);
    return n < 0 ? 0 : n;
}

static uint64_t as_counted(uint64_t bytes) { return bytes; }

static void run_echo(struct window *window)
{
    struct epoll_event events[BATCH];
    uint64_t done = 0;
    int in_flight = connection_count, measuring = 1;
    for (int i = 0; i < connection_count; i++)
        send_message(&connections[i]);
    while (in_flight > 0) {
        int n = wait_ready(events);
        for (int i = 0; i < n; i++) {
            struct connection *connection = events[i].data.ptr;
            if ((events[i].events & EPOLLOUT) && push(connection))
                watch(connection, EPOLLIN);
            if (!(events[i].events & ~EPOLLOUT) || !receive_echo(connection))
                continue;
            done += message_size;
            if (measuring)
                send_message(connection);
            else
                in_flight--;
        }
        if (measuring)
            measuring = advance(window, done, as_counted);
    }
}

/* What the server's kernel has acknowledged: bytes written less those still in our send queues. */
static uint64_t acknowledged(uint64_t written)
{
    for (int i = 0; i < connection_count; i++) {
        int queued = 0;
        if (ioctl(connections[i].fd, SIOCOUTQ, &queued) == 0)
            written -= queued;
    }
    return written;
}

static void run_sink(struct window *window)
{
    struct epoll_event events[BATCH];
    uint64_t written = 0;
    for (int i = 0; i < connection_count; i++)
        watch(&connections[i], EPOLLOUT);
    do {
        int n = wait_ready(events);
        for (int i = 0; i < n; i++) {
            struct connection *connection = events[i].data.ptr;
            size_t before = connection->sent;
            if (push(connection)) {
                written += message_size - before;
                next_message(connection);
            } else {
                written += connection->sent - before;
            }
        }
    } while (advance(window, written, acknowledged));

    for (int i = 0; i < connection_count; i++) {
        shutdown(connections[i].fd, SHUT_WR);
        watch(&connections[i], EPOLLIN);
    }
    for (int left = connection_count; left > 0;) {
        int n = wait_ready(events);
        for (int i = 0; i < n; i++) {
            struct connection *connection = events[i].data.ptr;
            if (recv(connection->fd, incoming, sizeof incoming, 0) != 0)
                fail("the sink did not end with a clean end of file");
            close(connection->fd);
            left--;
        }
    }
}

static void run_idle(int port)
{
    char line[64];
    long open = 0;
    while (fgets(line, sizeof line, stdin)) {
        long more = 0;
        if (sscanf(line, "open %ld", &more) == 1)
            for (long i = 0; i < more; i++, open++)
                open_connection(port);
        printf("{\"open\":%ld,\"server_cpu_ns\":%lld}\n", open, (long long)server_cpu_ns());
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 8)
        fail("usage: load echo|sink PORT PID CONNECTIONS SIZE WARMUP_MS MEASURE_MS | load idle PORT PID");
    int port = atoi(argv[2]), pid = atoi(argv[3]);
    if (pid > 0) {
        if (clock_getcpuclockid(pid, &server_clock) != 0)
            fail("no process %d", pid);
        has_server_clock = 1;
    }
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (strcmp(argv[1], "idle") == 0) {
        run_idle(port);
        return 0;
    }
    if (argc != 8)
        fail("%s needs seven arguments", argv[1]);

    connection_count = atoi(argv[4]);
    message_size = strtoul(argv[5], NULL, 10);
    if (connection_count < 1 || message_size < 1 || message_size > PATTERN_SIZE / 2)
        fail("1 or more connections and 1 to %d bytes, please", PATTERN_SIZE / 2);
    uint32_t random = 2463534242u;
    for (size_t i = 0; i < PATTERN_SIZE; i++) {
        random ^= random << 13, random ^= random >> 17, random ^= random << 5;
        pattern[i] = random;
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    connections = calloc(connection_count, sizeof *connections);
    if (epoll_fd < 0 || connections == NULL)
        fail("out of resources");
    for (int i = 0; i < connection_count; i++) {
        connections[i].fd = open_connection(port);
        connections[i].start = (size_t)i * 8191 % (PATTERN_SIZE - message_size);
    }
    struct window window = {
        .warmup = atoll(argv[6]) * 1000000,
        .length = atoll(argv[7]) * 1000000,
        .begin = now_ns(),
        .cpu = server_cpu_ns(),
    };
    if (strcmp(argv[1], "echo") == 0)
        run_echo(&window);
    else if (strcmp(argv[1], "sink") == 0)
        run_sink(&window);
    else
        fail("unknown pattern %s", argv[1]);
    return 0;
}
