/*
 * What libevent's loop costs, in CPU nanoseconds an operation: libevent_loop TIMERS,... PAIRS,...
 * The same work as evcore's loop.rs, case by case. Prints a JSON object.
 */
#include <event2/event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LEAST_OPERATIONS 1000000
#define ONE_TURN (EVLOOP_ONCE | EVLOOP_NONBLOCK)
#define BATCH 1000

static uint64_t seed;
static const char *separator = "{";

static uint64_t below(uint64_t limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % limit;
}

static double on_clock(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return now.tv_sec * 1e9 + now.tv_nsec;
}

static double cpu(void) { return on_clock(CLOCK_PROCESS_CPUTIME_ID); }

static void note(const char *name, long count, const char *what, double each)
{
    printf("%s\"%s %ld%s\":%.1f", separator, name, count, what, each);
    separator = ",";
}

static void count_up(evutil_socket_t fd, short what, void *counter)
{
    (void)fd, (void)what;
    ++*(size_t *)counter;
}

static void add_all(struct event **timers, const struct timeval *due, size_t count, const struct timeval *common)
{
    for (size_t i = 0; i < count; i++)
        event_add(timers[i], common ? common : &due[i]);
}

static void timers(size_t count, int common)
{
    struct event_base *base = event_base_new();
    struct event **timers = malloc(count * sizeof *timers);
    struct timeval *due = malloc(count * sizeof *due);
    size_t *order = malloc(count * sizeof *order);
    size_t fired = 0, operations = 0, due_operations = 0;
    double add = 0, del = 0, add_due = 0, fire = 0, start;
    struct timeval hour = {3600, 0}, soon = {0, 500};
    const struct timeval *far = common ? event_base_init_common_timeout(base, &hour) : NULL;
    const struct timeval *near = common ? event_base_init_common_timeout(base, &soon) : NULL;
    seed = 88172645463325252;
    for (size_t i = 0; i < count; i++) {
        timers[i] = evtimer_new(base, count_up, &fired);
        order[i] = i;
    }
    for (size_t round = 0; round < (LEAST_OPERATIONS + count - 1) / count; round++) {
        for (size_t i = 0; i < count; i++) {
            uint64_t us = 1000000 + below(1u << 31);
            due[i] = (struct timeval){us / 1000000, us % 1000000};
        }
        start = cpu();
        add_all(timers, due, count, far);
        add += cpu() - start;
        for (size_t i = count - 1; i > 0; i--) {
            size_t other = below(i + 1), held = order[i];
            order[i] = order[other];
            order[other] = held;
        }
        start = cpu();
        for (size_t i = 0; i < count; i++)
            event_del(timers[order[i]]);
        del += cpu() - start;
        operations += count;
    }
    for (size_t round = 0; round < (LEAST_OPERATIONS / 5 + count - 1) / count; round++) {
        for (size_t i = 0; i < count; i++)
            due[i] = (struct timeval){0, below(1000)};
        start = cpu();
        add_all(timers, due, count, near);
        add_due += cpu() - start;
        for (start = on_clock(CLOCK_MONOTONIC); on_clock(CLOCK_MONOTONIC) - start < 8e6;)
            continue;
        fired = 0;
        start = cpu();
        while (fired < count)
            event_base_loop(base, ONE_TURN);
        fire += cpu() - start;
        due_operations += count;
    }
    const char *kind = common ? "common timeout" : "timer";
    char name[32];
    snprintf(name, sizeof name, "%s add", kind);
    note(name, count, "", add / operations);
    snprintf(name, sizeof name, "%s add+del", kind);
    note(name, count, "", (add + del) / operations);
    snprintf(name, sizeof name, "%s fire", kind);
    note(name, count, "", fire / due_operations);
    snprintf(name, sizeof name, "%s add+fire", kind);
    note(name, count, "", (add_due + fire) / due_operations);
    for (size_t i = 0; i < count; i++)
        event_free(timers[i]);
    event_base_free(base);
    free(timers), free(due), free(order);
}

static void activation(int priorities)
{
    struct event_base *base = event_base_new();
    struct event *events[BATCH];
    size_t ran = 0, operations = 0;
    double activate = 0, dispatch = 0, start;
    event_base_priority_init(base, priorities);
    for (int i = 0; i < BATCH; i++) {
        events[i] = evtimer_new(base, count_up, &ran);
        event_priority_set(events[i], i % priorities);
    }
    for (int round = 0; round < 2 * LEAST_OPERATIONS / BATCH; round++) {
        start = cpu();
        for (int i = 0; i < BATCH; i++)
            event_active(events[i], EV_TIMEOUT, 1);
        activate += cpu() - start;
        ran = 0;
        start = cpu();
        while (ran < BATCH)
            event_base_loop(base, ONE_TURN);
        dispatch += cpu() - start;
        operations += BATCH;
    }
    note("activate+dispatch", priorities, " priorities", (activate + dispatch) / operations);
    note("dispatch", priorities, " priorities", dispatch / operations);
    for (int i = 0; i < BATCH; i++)
        event_free(events[i]);
    event_base_free(base);
}

static void turn(void)
{
    struct event_base *base = event_base_new();
    double start = cpu();
    for (int i = 0; i < LEAST_OPERATIONS; i++)
        event_base_loop(base, ONE_TURN | EVLOOP_NO_EXIT_ON_EMPTY);
    printf("%s\"empty turn\":%.1f", separator, (cpu() - start) / LEAST_OPERATIONS);
    event_base_free(base);
}

struct chain {
    struct event_base *base;
    size_t left, seen, total;
};

struct link {
    struct chain *chain;
    int ours, others, next;
};

static void pass_on(evutil_socket_t fd, short what, void *argument)
{
    struct link *link = argument;
    struct chain *chain = link->chain;
    char byte;
    (void)what;
    if (read(fd, &byte, 1) != 1)
        return;
    chain->seen++;
    if (chain->left > 0) {
        chain->left--;
        if (write(link->next, &byte, 1) != 1)
            exit(1);
    } else if (chain->seen == chain->total) {
        event_base_loopbreak(chain->base);
    }
}

static void chain(size_t pairs, size_t active)
{
    struct chain chain = {event_base_new(), 0, 0, 50000 + 10 * pairs};
    struct link *links = malloc(pairs * sizeof *links);
    struct event **events = malloc(pairs * sizeof *events);
    double spent = 0, start;
    for (size_t i = 0; i < pairs; i++) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0)
            exit(1);
        links[i] = (struct link){&chain, ends[0], ends[1], 0};
    }
    for (size_t i = 0; i < pairs; i++) {
        links[i].next = links[(i + 1) % pairs].others;
        events[i] = event_new(chain.base, links[i].ours, EV_READ | EV_PERSIST, pass_on, &links[i]);
        event_add(events[i], NULL);
    }
    if (chain.total < active)
        chain.total = active;
    for (int round = 0; round < 3; round++) {
        chain.left = chain.total - active;
        chain.seen = 0;
        start = cpu();
        for (size_t i = 0; i < pairs; i += pairs / active)
            if (write(links[i].others, "e", 1) != 1)
                exit(1);
        event_base_dispatch(chain.base);
        if (round > 0)
            spent += cpu() - start;
    }
    char what[48];
    snprintf(what, sizeof what, " pairs %zu active", active);
    note("chain", pairs, what, spent / (2 * chain.total));
    for (size_t i = 0; i < pairs; i++) {
        event_free(events[i]);
        close(links[i].ours), close(links[i].others);
    }
    event_base_free(chain.base);
    free(links), free(events);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "version") == 0) {
        puts(event_get_version());
        return 0;
    }
    for (char *each = argc > 1 ? strtok(argv[1], ",") : NULL; each; each = strtok(NULL, ",")) {
        timers(strtoul(each, NULL, 10), 0);
        timers(strtoul(each, NULL, 10), 1);
    }
    activation(1);
    activation(8);
    turn();
    for (char *each = argc > 2 ? strtok(argv[2], ",") : NULL; each; each = strtok(NULL, ",")) {
        chain(strtoul(each, NULL, 10), 1);
        chain(strtoul(each, NULL, 10), 100);
    }
    puts("}");
    return 0;
}
