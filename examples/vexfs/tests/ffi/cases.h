/* SPDX-License-Identifier: GPL-2.0-only */
/* A program that runs one of its cases: program CASE FOLDER, on a mounted vexfs. */
#ifndef CASES_H
#define CASES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* Ends the program unless @found is what it should be. */
static inline void expect(int line, const char *what, long long expected, long long found)
{
	if (expected == found)
		return;
	fprintf(stderr, "line %d: %s: expected %lld, found %lld\n", line, what, expected, found);
	exit(1);
}

#define EXPECT(expected, found)	expect(__LINE__, #found, expected, found)
#define EXPECT_TRUE(condition)	expect(__LINE__, #condition, 1, !!(condition))

/* The same numbers each time: the constants are Knuth's (MMIX). */
static inline unsigned int next_random(void)
{
	static unsigned long long state = 1;

	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return state >> 33;
}

/* Fills the memory with something that nobody would write there. */
static inline void mark(void *memory, size_t size)
{
	memset(memory, 0xa5, size);
}

static inline int is_marked(const void *memory, size_t size)
{
	const unsigned char *byte = memory;

	while (size--)
		if (*byte++ != 0xa5)
			return 0;
	return 1;
}

struct test_case {
	const char *name;
	void (*run)(void);		/* in an empty folder */
};

/* The case "all" runs each, in a folder of its own. */
static inline int run_case(int count, char **arguments, const struct test_case *cases,
			   size_t case_count)
{
	int all, found = 0;

	if (count != 3 || chdir(arguments[2]) < 0) {
		fprintf(stderr, "usage: %s CASE FOLDER\n", arguments[0]);
		return 2;
	}
	all = !strcmp(arguments[1], "all");
	for (size_t i = 0; i < case_count; i++) {
		if (!all && strcmp(cases[i].name, arguments[1]))
			continue;
		if (all && (mkdir(cases[i].name, 0700) < 0 || chdir(cases[i].name) < 0)) {
			perror(cases[i].name);
			return 1;
		}
		cases[i].run();
		found = 1;
		if (all && chdir("..") < 0)
			return 1;
	}
	if (found)
		return 0;
	fprintf(stderr, "no case '%s'\n", arguments[1]);
	return 2;
}

#endif /* CASES_H */
