/*
 * The floor of TLS: a bare level-triggered epoll loop that has OpenSSL read from and write to the socket, with nothing
 * of its own in between.
 *
 *   floor_tls CERTIFICATE KEY
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_SIZE = 64 * 1024, BATCH = 512 };

struct connection {
    SSL *ssl;
    int fd;
    int length, sent; /* what of the buffer below is still to be written: rare */
    char *rest;
};

static char buffer[BUFFER_SIZE];
static int epoll_fd, listener;
static SSL_CTX *context;

static void watch(int operation, int fd, unsigned what, void *data)
{
    struct epoll_event event = {.events = what, .data.ptr = data};
    if (epoll_ctl(epoll_fd, operation, fd, &event) != 0 && fd != STDIN_FILENO) {
        perror("epoll_ctl");
        exit(1);
    }
}

static void accept_all(void)
{
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *connection = calloc(1, sizeof *connection);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connection->fd = fd;
        connection->ssl = SSL_new(context);
        SSL_set_fd(connection->ssl, fd);
        SSL_set_accept_state(connection->ssl);
        watch(EPOLL_CTL_ADD, fd, EPOLLIN, connection);
    }
}

static void drop(struct connection *connection)
{
    SSL_shutdown(connection->ssl);
    SSL_free(connection->ssl);
    close(connection->fd);
    free(connection->rest);
    free(connection);
}

/* Keeps what the socket did not take and reads no more until it has gone. Returns 0 then. */
static int keep(struct connection *connection, int length, int sent)
{
    if (connection->rest == NULL) {
        connection->rest = malloc(length);
        for (int i = 0; i < length; i++)
            connection->rest[i] = buffer[i];
    }
    connection->length = length;
    connection->sent = sent;
    watch(EPOLL_CTL_MOD, connection->fd, EPOLLOUT, connection);
    return 0;
}

static int write_all(struct connection *connection, const char *bytes, int length, int sent)
{
    while (sent < length) {
        int n = SSL_write(connection->ssl, bytes + sent, length - sent);
        if (n <= 0)
            return keep(connection, length, sent);
        sent += n;
    }
    return 1;
}

static void serve(struct connection *connection)
{
    if (connection->rest != NULL) {
        if (!write_all(connection, connection->rest, connection->length, connection->sent))
            return;
        free(connection->rest);
        connection->rest = NULL;
        watch(EPOLL_CTL_MOD, connection->fd, EPOLLIN, connection);
    }
    for (;;) {
        int n = SSL_read(connection->ssl, buffer, sizeof buffer);
        if (n <= 0) {
            int error = SSL_get_error(connection->ssl, n);
            if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
                drop(connection);
            return;
        }
        if (!write_all(connection, buffer, n, 0))
            return;
        if (!SSL_has_pending(connection->ssl))
            return;
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    context = SSL_CTX_new(TLS_server_method());
    if (argc != 3 || SSL_CTX_use_certificate_chain_file(context, argv[1]) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) != 1) {
        fprintf(stderr, "usage: floor_tls CERTIFICATE KEY\n");
        return 1;
    }
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 4096) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
        perror("listen");
        return 1;
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    watch(EPOLL_CTL_ADD, listener, EPOLLIN, &listener);
    watch(EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, NULL);
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        struct epoll_event events[BATCH];
        int count = epoll_wait(epoll_fd, events, BATCH, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                return 0;
            if (events[i].data.ptr == &listener)
                accept_all();
            else
                serve(events[i].data.ptr);
        }
    }
}
