// SPDX-License-Identifier: GPL-2.0
/*
 * Does random things to one file and compares it with a copy in memory, in the
 * manner of fsx: writes and reads by system calls and through mappings, cuts,
 * growth, holes, synchronisation, and reading from the disk again.
 *
 *   exerciser FILE SEED OPERATIONS
 *
 * The same seed does the same.  Exit status: 0 the file was always as it should
 * be; 1 it was not; 2 an operation failed, or wrong usage.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE		4096
/* Beyond the direct blocks (48 KiB) and, with the holes, into both levels of pointers. */
#define LARGEST		(5 * 1024 * 1024)
#define LONGEST		(40 * 1024)
#define REMEMBERED	20

static unsigned char expected[LARGEST];
static size_t size;
static int file;
static const char *path;
static uint64_t state;
static char remembered[REMEMBERED][80];
static unsigned int operation;

/* SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). */
static uint64_t random_word(void)
{
	uint64_t word = state += 0x9e3779b97f4a7c15;

	word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
	word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
	return word ^ (word >> 31);
}

static size_t below(size_t limit)
{
	return random_word() % limit;
}

static void tell_history(void)
{
	unsigned int first = operation < REMEMBERED ? 0 : operation - REMEMBERED + 1;

	for (unsigned int each = first; each <= operation; each++)
		fprintf(stderr, "%6u %s\n", each, remembered[each % REMEMBERED]);
}

#define remember(...) \
	snprintf(remembered[operation % REMEMBERED], sizeof(remembered[0]), __VA_ARGS__)

static void must(bool done, const char *what)
{
	if (done)
		return;
	fprintf(stderr, "%s: %s: %s\n", path, what, strerror(errno));
	tell_history();
	exit(2);
}

static void compare(const unsigned char *found, size_t start, size_t length, const char *how)
{
	for (size_t at = 0; at < length; at++) {
		if (found[at] == expected[start + at])
			continue;
		fprintf(stderr, "%s: %s: byte %zu is 0x%02x, should be 0x%02x\n", path, how,
			start + at, found[at], expected[start + at]);
		tell_history();
		exit(1);
	}
}

/* Mostly near the borders: of pages, of the file, of the levels of pointers. */
static size_t some_offset(void)
{
	static const size_t borders[] = { 0, 12 * PAGE, (12 + 1020) * PAGE };
	size_t border = borders[below(3)];

	switch (below(3)) {
	case 0:
		border = size;
		break;
	case 1:
		border = below(LARGEST / PAGE) * PAGE;
		break;
	}
	border += below(2 * PAGE);
	border -= border < PAGE ? 0 : below(PAGE);
	return border < LARGEST - LONGEST ? border : LARGEST - LONGEST - 1;
}

static void do_write(void)
{
	size_t start = below(4) ? some_offset() : size;
	size_t length = 1 + below(LONGEST);

	if (start > LARGEST - LONGEST)
		start = 0;
	remember("write %zu bytes at %zu", length, start);
	for (size_t at = start; at < start + length; at++)
		expected[at] = random_word();
	must(pwrite(file, expected + start, length, start) == (ssize_t)length, "write");
	if (start + length > size)
		size = start + length;
}

static void do_read(void)
{
	static unsigned char found[LONGEST];
	size_t start = size ? below(size) : 0;
	size_t length = 1 + below(LONGEST);
	ssize_t count;

	remember("read %zu bytes at %zu", length, start);
	count = pread(file, found, length, start);
	must(count >= 0, "read");
	if (start + length > size)
		length = size - start;
	must((size_t)count == length, "read as much as there is");
	compare(found, start, length, "read");
}

static void do_truncate(void)
{
	size_t length = some_offset();

	remember("truncate to %zu from %zu", length, size);
	must(ftruncate(file, length) == 0, "truncate");
	if (length < size)
		memset(expected + length, 0, size - length);
	size = length;
}

static void do_map(bool writes)
{
	size_t start, length;
	unsigned char *mapped;

	if (!size)
		return;
	start = below(size);
	length = 1 + below(LONGEST);
	if (start + length > size)
		length = size - start;
	remember("map, %s %zu bytes at %zu", writes ? "write" : "read", length, start);
	mapped = mmap(NULL, start + length, PROT_READ | (writes ? PROT_WRITE : 0), MAP_SHARED,
		      file, 0);
	must(mapped != MAP_FAILED, "mmap");
	for (size_t at = start; writes && at < start + length; at++)
		mapped[at] = expected[at] = random_word();
	compare(mapped + start, start, length, "mapping");
	must(munmap(mapped, start + length) == 0, "munmap");
}

/* Everything to the disk, out of memory, and back. */
static void do_sync(bool forgets)
{
	remember(forgets ? "sync and forget" : "sync");
	must((below(2) ? fsync(file) : fdatasync(file)) == 0, "fsync");
	if (forgets)
		must(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0, "fadvise");
}

static void do_reopen(void)
{
	struct stat found;

	remember("close and open");
	must(close(file) == 0, "close");
	file = open(path, O_RDWR);
	must(file >= 0, "open");
	must(fstat(file, &found) == 0, "stat");
	must((size_t)found.st_size == size, "the size from stat");
}

static void compare_all(void)
{
	static unsigned char found[LARGEST];

	remember("read all");
	must(pread(file, found, LARGEST, 0) == (ssize_t)size, "read all");
	compare(found, 0, size, "read all");
}

static void do_something(void)
{
	switch (below(16)) {
	case 0 ... 4:
		do_write();
		break;
	case 5 ... 7:
		do_read();
		break;
	case 8 ... 9:
		do_truncate();
		break;
	case 10:
		do_map(false);
		break;
	case 11 ... 12:
		do_map(true);
		break;
	case 13:
		do_sync(false);
		break;
	case 14:
		do_sync(true);
		break;
	case 15:
		do_reopen();
		break;
	}
}

int main(int count, char **words)
{
	unsigned int operations;

	if (count != 4) {
		fprintf(stderr, "usage: exerciser FILE SEED OPERATIONS\n");
		return 2;
	}
	path = words[1];
	state = strtoull(words[2], NULL, 0);
	operations = strtoul(words[3], NULL, 0);
	file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
	must(file >= 0, "open");
	for (operation = 0; operation < operations; operation++)
		do_something();
	do_sync(true);
	compare_all();
	must(close(file) == 0, "close");
	return 0;
}
