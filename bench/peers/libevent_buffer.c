/*
 * What libevent's buffers cost, in CPU nanoseconds an operation: libevent_buffer CASE,...
 * The same work as evcore's buffer.rs, case by case. Prints a JSON object.
 */
#include <event2/buffer.h>
#include <event2/event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KIB 1024
#define MIB (1024 * KIB)
#define SMALL 64
#define CHUNK (64 * KIB)
#define FULL MIB
#define SEARCHED (64 * MIB)
#define LINES (100 * MIB)
#define NEEDLE "X-Request-Id 421"

static unsigned char small[SMALL], chunk[CHUNK];

static double cpu(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * 1e9 + now.tv_nsec;
}

/* What two readings of the clock add to what is between them. */
static double overhead(void)
{
    static double least;
    if (least == 0) {
        least = 1e9;
        for (int i = 0; i < 1000; i++) {
            double start = cpu(), spent = cpu() - start;
            if (spent < least)
                least = spent;
        }
    }
    return least;
}

static double since(double start) { return cpu() - start - overhead(); }

static void expect(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "libevent_buffer: %s\n", what);
        exit(1);
    }
}

/* Lines of 80 bytes with their CRLF, of letters, digits, "-" and " ". */
static void write_lines(unsigned char *bytes, size_t length)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789- ";
    uint64_t seed = 88172645463325252;
    for (size_t i = 0; i < length; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        bytes[i] = i % 80 == 78 ? '\r' : i % 80 == 79 ? '\n' : letters[seed % 64];
    }
}

static struct evbuffer *filled(size_t total, const void *piece, size_t length)
{
    struct evbuffer *buffer = evbuffer_new();
    for (size_t done = 0; done < total; done += length)
        evbuffer_add(buffer, piece, length);
    return buffer;
}

static double append(const void *piece, size_t length, int rounds)
{
    double spent = 0;
    for (int round = 0; round < rounds; round++) {
        struct evbuffer *buffer = evbuffer_new();
        double start = cpu();
        for (size_t done = 0; done < FULL; done += length)
            evbuffer_add(buffer, piece, length);
        spent += since(start);
        expect(evbuffer_get_length(buffer) == FULL, "append");
        evbuffer_free(buffer);
    }
    return spent / (rounds * (double)(FULL / length));
}

static double append_small(void) { return append(small, SMALL, 128); }

static double append_big(void) { return append(chunk, CHUNK, 1024); }

static double append_drain(void)
{
    const int operations = 4000000;
    struct evbuffer *buffer = evbuffer_new();
    double start = cpu();
    for (int i = 0; i < operations; i++) {
        evbuffer_add(buffer, small, SMALL);
        evbuffer_drain(buffer, SMALL);
    }
    double spent = since(start);
    expect(evbuffer_get_length(buffer) == 0, "append-drain");
    evbuffer_free(buffer);
    return spent / operations;
}

static double drain(size_t length, int rounds)
{
    double spent = 0;
    for (int round = 0; round < rounds; round++) {
        struct evbuffer *buffer = filled(FULL, chunk, CHUNK);
        double start = cpu();
        for (size_t done = 0; done < FULL; done += length)
            evbuffer_drain(buffer, length);
        spent += since(start);
        expect(evbuffer_get_length(buffer) == 0, "drain");
        evbuffer_free(buffer);
    }
    return spent / (rounds * (double)(FULL / length));
}

static double drain_small(void) { return drain(SMALL, 128); }

static double drain_big(void) { return drain(CHUNK, 1024); }

static double move(void)
{
    const int operations = 4000000;
    struct evbuffer *one = filled(CHUNK, chunk, 16 * KIB), *other = evbuffer_new();
    double start = cpu();
    for (int i = 0; i < operations / 2; i++) {
        evbuffer_add_buffer(other, one);
        evbuffer_add_buffer(one, other);
    }
    double spent = since(start);
    expect(evbuffer_get_length(one) == CHUNK, "move");
    evbuffer_free(one), evbuffer_free(other);
    return spent / operations;
}

/* Behind what the other buffer holds, and from its front back again. */
static double move_segment(void)
{
    enum { COUNT = 64, ROUNDS = 16384 };
    struct evbuffer *queue = filled(16 * KIB, chunk, 16 * KIB), *sources[COUNT];
    for (int i = 0; i < COUNT; i++)
        sources[i] = filled(16 * KIB, chunk, 16 * KIB);
    double start = cpu();
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < COUNT; i++)
            evbuffer_add_buffer(queue, sources[i]);
        for (int i = 0; i < COUNT; i++)
            evbuffer_remove_buffer(queue, sources[i], 16 * KIB);
    }
    double spent = since(start);
    expect(evbuffer_get_length(queue) == 16 * KIB, "move-segment");
    for (int i = 0; i < COUNT; i++)
        evbuffer_free(sources[i]);
    evbuffer_free(queue);
    return spent / (2.0 * COUNT * ROUNDS);
}

static double move_part(void)
{
    enum { PART = 1000, COUNT = 64, ROUNDS = 1024 };
    double spent = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct evbuffer *source = filled(CHUNK, chunk, CHUNK), *target = evbuffer_new();
        double start = cpu();
        for (int i = 0; i < COUNT; i++)
            evbuffer_remove_buffer(source, target, PART);
        spent += since(start);
        expect(evbuffer_get_length(target) == COUNT * PART, "move-part");
        evbuffer_free(source), evbuffer_free(target);
    }
    return spent / (COUNT * (double)ROUNDS);
}

static double search(void)
{
    enum { ROUNDS = 5 };
    struct evbuffer *buffer = evbuffer_new();
    for (size_t done = 0; done < SEARCHED; done += CHUNK)
        evbuffer_add(buffer, chunk, CHUNK);
    evbuffer_add(buffer, NEEDLE, strlen(NEEDLE));
    double start = cpu();
    for (int round = 0; round < ROUNDS; round++)
        expect(evbuffer_search(buffer, NEEDLE, strlen(NEEDLE), NULL).pos == SEARCHED, "search");
    double spent = since(start);
    evbuffer_free(buffer);
    return spent / ROUNDS;
}

static double readln(void)
{
    unsigned char *text = malloc(LINES);
    struct evbuffer *buffer = evbuffer_new();
    size_t lines = 0, total = 0, length;
    double spent = 0;
    write_lines(text, LINES);
    for (size_t done = 0; done < LINES; done += CHUNK) {
        char *line;
        evbuffer_add(buffer, text + done, CHUNK);
        double start = cpu();
        while ((line = evbuffer_readln(buffer, &length, EVBUFFER_EOL_CRLF))) {
            lines++;
            total += length;
            free(line);
        }
        spent += since(start);
    }
    expect(lines == LINES / 80 && total == lines * 78, "readln");
    evbuffer_free(buffer);
    free(text);
    return spent / lines;
}

static double prepend(void)
{
    enum { ROUNDS = 128 };
    double spent = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct evbuffer *buffer = evbuffer_new();
        double start = cpu();
        for (size_t done = 0; done < FULL; done += SMALL)
            evbuffer_prepend(buffer, small, SMALL);
        spent += since(start);
        expect(evbuffer_get_length(buffer) == FULL, "prepend");
        evbuffer_free(buffer);
    }
    return spent / (ROUNDS * (double)(FULL / SMALL));
}

static double pullup(void)
{
    enum { COUNT = 16, ROUNDS = 256 };
    double spent = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct evbuffer *buffers[COUNT];
        for (int i = 0; i < COUNT; i++) {
            buffers[i] = evbuffer_new();
            for (size_t done = 0; done < CHUNK; done += 4 * KIB)
                evbuffer_add_reference(buffers[i], chunk + done, 4 * KIB, NULL, NULL);
        }
        double start = cpu();
        for (int i = 0; i < COUNT; i++)
            expect(evbuffer_pullup(buffers[i], -1) != NULL, "pullup");
        spent += since(start);
        for (int i = 0; i < COUNT; i++) {
            expect(evbuffer_get_contiguous_space(buffers[i]) == CHUNK, "pullup");
            evbuffer_free(buffers[i]);
        }
    }
    return spent / (COUNT * (double)ROUNDS);
}

static double pullup_border(void)
{
    enum { COUNT = 24, ROUNDS = 4096 };
    double spent = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct evbuffer *buffers[COUNT];
        for (int i = 0; i < COUNT; i++) {
            struct evbuffer *more = filled(4000, chunk, 4000);
            buffers[i] = filled(4000, chunk, 4000);
            evbuffer_add_buffer(buffers[i], more);
            evbuffer_drain(buffers[i], 4000 - 16);
            evbuffer_free(more);
        }
        double start = cpu();
        for (int i = 0; i < COUNT; i++)
            expect(evbuffer_pullup(buffers[i], 32) != NULL, "pullup-border");
        spent += since(start);
        for (int i = 0; i < COUNT; i++)
            evbuffer_free(buffers[i]);
    }
    return spent / (COUNT * (double)ROUNDS);
}

static const struct {
    const char *name;
    double (*run)(void);
} cases[] = {
    {"append-64B", append_small},    {"append-64KiB", append_big},
    {"append-drain", append_drain},  {"drain-64B", drain_small},
    {"drain-64KiB", drain_big},      {"move", move},
    {"move-segment", move_segment},  {"move-part", move_part},
    {"search", search},              {"readln", readln},
    {"prepend", prepend},            {"pullup", pullup},
    {"pullup-border", pullup_border},
};

int main(int argc, char **argv)
{
    const char *separator = "{";
    if (argc > 1 && strcmp(argv[1], "version") == 0) {
        puts(event_get_version());
        return 0;
    }
    overhead();
    write_lines(chunk, CHUNK);
    memset(small, 'x', SMALL);
    for (char *each = argc > 1 ? strtok(argv[1], ",") : NULL; each; each = strtok(NULL, ",")) {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            if (strcmp(cases[i].name, each) != 0)
                continue;
            printf("%s\"%s\":%.2f", separator, each, cases[i].run());
            separator = ",";
        }
    }
    puts("}");
    return 0;
}
