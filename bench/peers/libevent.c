/*
 * The same server on C libevent: evconnlistener and bufferevent with their defaults.
 *
 *   libevent echo|sink|version
 */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int sink;

static void on_read(struct bufferevent *bev, void *unused)
{
    (void)unused;
    struct evbuffer *input = bufferevent_get_input(bev);
    if (sink)
        evbuffer_drain(input, evbuffer_get_length(input));
    else
        bufferevent_write_buffer(bev, input);
}

static void on_event(struct bufferevent *bev, short what, void *unused)
{
    (void)unused;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        bufferevent_free(bev);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer, int length, void *unused)
{
    (void)peer, (void)length, (void)unused;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct bufferevent *bev =
        bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
    if (bev == NULL) {
        close(fd);
        return;
    }
    bufferevent_setcb(bev, on_read, NULL, on_event, NULL);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static void on_stop(evutil_socket_t fd, short what, void *base)
{
    (void)fd, (void)what;
    event_base_loopbreak(base);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "version") == 0) {
        puts(event_get_version());
        return 0;
    }
    sink = argc > 1 && strcmp(argv[1], "sink") == 0;
    signal(SIGPIPE, SIG_IGN);
    struct event_base *base = event_base_new();
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct evconnlistener *listener =
        evconnlistener_new_bind(base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 4096,
                                (struct sockaddr *)&address, sizeof address);
    if (listener == NULL || getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &length) != 0) {
        perror("listen");
        return 1;
    }
    struct event *stop = event_new(base, STDIN_FILENO, EV_READ, on_stop, base);
    event_add(stop, NULL);
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    event_base_dispatch(base);
    return 0;
}
