/* cpu_check.c - refuse a CPU that lacks what FAISS was compiled for, before FAISS runs.
 *
 * FAISS has C++ objects that are made before main, by code that may already use AVX2; a
 * CPU without it would end the program with "Illegal instruction". Constructors with a
 * number run before those without, so this one is first: it uses nothing but what the
 * plain CPU has, and writes without stdio.
 *
 * Threads: before there are any.
 */
#include "server/cli/cpu_check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pinsage/ann.h"

static void say(const char *text)
{
    ssize_t told = write(STDERR_FILENO, text, strlen(text));
    (void)told; /* a closed stderr changes nothing */
}

void ps_cpu_check_or_exit(int (*check)(ps_why *why))
{
    ps_why why = {0};
    if (check(&why) == PS_OK)
        return;
    say("pinsage: ");
    say(why.text);
    say("\n");
    _exit(EXIT_FAILURE);
}

__attribute__((constructor(101))) static void check_early(void)
{
    ps_cpu_check_or_exit(ps_ann_cpu_check);
}
