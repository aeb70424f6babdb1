/*
 * The floor: what the kernel alone costs. A bare level-triggered epoll loop that makes one epoll_wait per turn and
 * one recv and one send per message, with no library, no timers and no buffers of its own.
 *
 *   floor echo|sink
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_SIZE = 64 * 1024, BATCH = 512, MAX_FDS = 1 << 20 };

/* What a full socket buffer did not take. Rare: exists only while the peer is slow. */
struct rest {
    size_t length, sent;
    char bytes[];
};

static char buffer[BUFFER_SIZE];
static struct rest *rests[MAX_FDS]; /* by fd; untouched pages cost nothing */
static int epoll_fd, listener;

static void watch(int operation, int fd, unsigned what)
{
    struct epoll_event event = {.events = what, .data.fd = fd};
    if (epoll_ctl(epoll_fd, operation, fd, &event) != 0 && fd != STDIN_FILENO) {
        perror("epoll_ctl");
        exit(1);
    }
}

static void drop(int fd)
{
    free(rests[fd]);
    rests[fd] = NULL;
    close(fd);
}

static void accept_all(void)
{
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (fd >= MAX_FDS) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(EPOLL_CTL_ADD, fd, EPOLLIN);
    }
}

static void keep_rest(int fd, size_t sent, size_t length)
{
    struct rest *rest = malloc(sizeof *rest + length - sent);
    if (rest == NULL)
        return drop(fd);
    rest->sent = 0;
    rest->length = length - sent;
    memcpy(rest->bytes, buffer + sent, rest->length);
    rests[fd] = rest;
    watch(EPOLL_CTL_MOD, fd, EPOLLOUT); /* and no more reading until it is gone */
}

static void flush_rest(int fd)
{
    struct rest *rest = rests[fd];
    ssize_t n = send(fd, rest->bytes + rest->sent, rest->length - rest->sent, MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN ? (void)0 : drop(fd);
    rest->sent += n;
    if (rest->sent < rest->length)
        return;
    free(rest);
    rests[fd] = NULL;
    watch(EPOLL_CTL_MOD, fd, EPOLLIN);
}

int main(int argc, char **argv)
{
    int sink = argc > 1 && strcmp(argv[1], "sink") == 0;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 4096) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
        perror("listen");
        return 1;
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    watch(EPOLL_CTL_ADD, listener, EPOLLIN);
    watch(EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN);
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);

    for (;;) {
        struct epoll_event events[BATCH];
        int count = epoll_wait(epoll_fd, events, BATCH, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == STDIN_FILENO)
                return 0;
            if (fd == listener) {
                accept_all();
                continue;
            }
            if (rests[fd] != NULL) {
                flush_rest(fd);
                continue;
            }
            ssize_t n = recv(fd, buffer, sizeof buffer, 0);
            if (n <= 0) {
                if (n == 0 || errno != EAGAIN)
                    drop(fd);
                continue;
            }
            if (sink)
                continue;
            ssize_t sent = send(fd, buffer, n, MSG_NOSIGNAL);
            if (sent == n)
                continue;
            if (sent < 0 && errno != EAGAIN)
                drop(fd);
            else
                keep_rest(fd, sent < 0 ? 0 : sent, n);
        }
    }
}
