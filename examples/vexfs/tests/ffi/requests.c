// SPDX-License-Identifier: GPL-2.0-only
/* Every request of vexfs.h as it is, without a library: each field of each structure. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "cases.h"
#include "vexfs.h"

#define DIMENSION	4

/* 0 or a negative number of errno(3). */
static int request(int file, unsigned long number, void *argument)
{
	return ioctl(file, number, argument) < 0 ? -errno : 0;
}

static __u64 address(const void *pointer)
{
	return (unsigned long)pointer;
}

static int open_file(const char *name, int flags)
{
	int file = open(name, flags | O_CLOEXEC, 0600);

	EXPECT_TRUE(file >= 0);
	return file;
}

static int create(const char *name, __u32 dimension, __u32 metric)
{
	struct vexfs_ioc_create argument = { .dimension = dimension, .metric = metric };
	int file = open_file(name, O_RDWR | O_CREAT | O_EXCL);

	EXPECT(0, request(file, VEXFS_IOC_CREATE, &argument));
	return file;
}

static __u64 insert(int file, const __s16 *components, __u32 count)
{
	struct vexfs_ioc_insert argument = {
		.components = address(components),
		.dimension = DIMENSION,
		.count = count,
	};

	EXPECT(0, request(file, VEXFS_IOC_INSERT, &argument));
	return argument.first;
}

static struct vexfs_ioc_info info(int file)
{
	struct vexfs_ioc_info result;

	mark(&result, sizeof(result));
	EXPECT(0, request(file, VEXFS_IOC_INFO, &result));
	return result;
}

/* Vector i is (10 i, 0, 0, ...). */
static int create_with(const char *name, __u32 count)
{
	__s16 components[VEXFS_MAX_INSERT][DIMENSION] = { { 0 } };
	int file = create(name, DIMENSION, VEXFS_METRIC_L2);

	for (__u32 i = 0; i < count; i++)
		components[i][0] = 10 * i;
	EXPECT(0, insert(file, components[0], count));
	return file;
}

static void make_index(int file, __u32 cells)
{
	struct vexfs_ioc_index argument = { .cells = cells, .iterations = 10, .seed = 1 };

	EXPECT(0, request(file, VEXFS_IOC_INDEX, &argument));
}

static void case_create(void)
{
	struct { struct vexfs_ioc_create it; char behind[8]; } argument;
	int file = open_file("c", O_RDWR | O_CREAT);
	struct vexfs_ioc_create kept;

	mark(&argument, sizeof(argument));
	argument.it = kept = (struct vexfs_ioc_create){
		.dimension = VEXFS_MAX_DIMENSION,
		.metric = VEXFS_METRIC_COSINE,
	};
	EXPECT(0, request(file, VEXFS_IOC_CREATE, &argument));
	EXPECT(0, memcmp(&argument.it, &kept, sizeof(kept)));
	EXPECT_TRUE(is_marked(argument.behind, sizeof(argument.behind)));
	EXPECT(VEXFS_MAX_DIMENSION, info(file).dimension);
	EXPECT(VEXFS_METRIC_COSINE, info(file).metric);
	EXPECT(-EEXIST, request(file, VEXFS_IOC_CREATE, &argument));

	file = open_file("full", O_RDWR | O_CREAT);
	EXPECT(1, write(file, "x", 1));
	EXPECT(-ENOTEMPTY, request(file, VEXFS_IOC_CREATE, &argument));
}

static void case_info(void)
{
	struct { struct vexfs_ioc_info it; char behind[8]; } argument;
	struct vexfs_ioc_delete deletion = { .id = 3 };
	int file = create_with("c", 20);

	EXPECT(0, request(file, VEXFS_IOC_DELETE, &deletion));
	make_index(file, 5);
	mark(&argument, sizeof(argument));
	EXPECT(0, request(file, VEXFS_IOC_INFO, &argument));
	EXPECT(DIMENSION, argument.it.dimension);
	EXPECT(VEXFS_METRIC_L2, argument.it.metric);
	EXPECT(5, argument.it.cells);
	EXPECT(0, argument.it.reserved);
	EXPECT(20, argument.it.ids);
	EXPECT(19, argument.it.vectors);
	EXPECT_TRUE(is_marked(argument.behind, sizeof(argument.behind)));
}

static void case_insert(void)
{
	__s16 components[VEXFS_MAX_INSERT * DIMENSION];
	struct { struct vexfs_ioc_insert it; char behind[8]; } argument;
	int file = create("c", DIMENSION, VEXFS_METRIC_L2);
	__u64 next = 0;

	for (size_t i = 0; i < ARRAY_SIZE(components); i++)
		components[i] = next_random();
	for (__u32 count = 1; count <= VEXFS_MAX_INSERT; count *= 2) {
		struct vexfs_ioc_insert kept;

		mark(&argument, sizeof(argument));
		argument.it = kept = (struct vexfs_ioc_insert){
			.components = address(components),
			.dimension = DIMENSION,
			.count = count,
			.first = 12345,
		};
		EXPECT(0, request(file, VEXFS_IOC_INSERT, &argument));
		EXPECT(next, argument.it.first);
		kept.first = next;
		EXPECT(0, memcmp(&argument.it, &kept, sizeof(kept)));
		EXPECT_TRUE(is_marked(argument.behind, sizeof(argument.behind)));
		next += count;
		EXPECT(next, info(file).ids);
		EXPECT(next, info(file).vectors);
	}
}

static void case_fetch(void)
{
	__s16 components[600 * DIMENSION];
	int file = create("c", DIMENSION, VEXFS_METRIC_L2);

	for (size_t i = 0; i < ARRAY_SIZE(components); i++)
		components[i] = next_random();
	components[599 * DIMENSION] = -32768;
	EXPECT(0, insert(file, components, 600));
	for (__u64 id = 0; id < 600; id++) {
		struct { __s16 it[DIMENSION]; char behind[8]; } vector;
		struct vexfs_ioc_fetch argument = {
			.id = id,
			.components = address(&vector),
			.dimension = DIMENSION,
		};

		mark(&vector, sizeof(vector));
		EXPECT(0, request(file, VEXFS_IOC_FETCH, &argument));
		EXPECT(0, memcmp(vector.it, components + id * DIMENSION, sizeof(vector.it)));
		EXPECT_TRUE(is_marked(vector.behind, sizeof(vector.behind)));
	}
}

static void case_delete(void)
{
	__s16 vector[DIMENSION];
	struct vexfs_ioc_fetch fetch = { .components = address(vector), .dimension = DIMENSION };
	struct vexfs_ioc_delete argument = { .id = 4 };
	int file = create_with("c", 10);

	EXPECT(0, request(file, VEXFS_IOC_DELETE, &argument));
	EXPECT(-ENOENT, request(file, VEXFS_IOC_DELETE, &argument));
	EXPECT(10, info(file).ids);
	EXPECT(9, info(file).vectors);
	for (fetch.id = 0; fetch.id < 12; fetch.id++)
		EXPECT(fetch.id == 4 || fetch.id >= 10 ? -ENOENT : 0,
		       request(file, VEXFS_IOC_FETCH, &fetch));
	argument.id = 10;
	EXPECT(-ENOENT, request(file, VEXFS_IOC_DELETE, &argument));
	argument.id = ~0ULL;
	EXPECT(-ENOENT, request(file, VEXFS_IOC_DELETE, &argument));
	fetch.id = 1ULL << 32;
	EXPECT(-ENOENT, request(file, VEXFS_IOC_FETCH, &fetch));
	EXPECT(10, insert(file, vector, 1));
}

static void case_search(void)
{
	struct { struct vexfs_result it[3]; char behind[8]; } results;
	struct vexfs_ioc_delete deletion = { .id = 6 };
	__s16 query[DIMENSION] = { 52 };
	struct vexfs_ioc_search argument = {
		.query = address(query),
		.results = address(&results),
		.dimension = DIMENSION,
		.k = 3,
		.method = VEXFS_SEARCH_EXACT,
	};
	struct vexfs_ioc_search kept = argument;
	int file = create_with("c", 20);

	mark(&results, sizeof(results));
	EXPECT(0, request(file, VEXFS_IOC_DELETE, &deletion));
	EXPECT(0, request(file, VEXFS_IOC_SEARCH, &argument));
	EXPECT(3, argument.found);
	EXPECT(19, argument.distances);
	kept.found = 3;
	kept.distances = 19;
	EXPECT(0, memcmp(&argument, &kept, sizeof(kept)));
	EXPECT(5, results.it[0].id);
	EXPECT(2 * 2, results.it[0].distance);
	EXPECT(4, results.it[1].id);
	EXPECT(12 * 12, results.it[1].distance);
	EXPECT(7, results.it[2].id);
	EXPECT(18 * 18, results.it[2].distance);
	EXPECT_TRUE(is_marked(results.behind, sizeof(results.behind)));

	/* Of two that are as near, the one with the smaller id: 4 and 8 are 20 away. */
	query[0] = 60;
	EXPECT(0, request(file, VEXFS_IOC_SEARCH, &argument));
	EXPECT(5, results.it[0].id);
	EXPECT(7, results.it[1].id);
	EXPECT(4, results.it[2].id);
	EXPECT(20 * 20, results.it[2].distance);
}

/* With all cells probed the index finds what the exact search does. */
static void case_search_index(void)
{
	struct vexfs_result exact[30], indexed[30];
	__s16 query[DIMENSION] = { 333 };
	struct vexfs_ioc_search argument = {
		.query = address(query),
		.results = address(exact),
		.dimension = DIMENSION,
		.k = ARRAY_SIZE(exact),
		.method = VEXFS_SEARCH_EXACT,
	};
	int file = create_with("c", 500);

	EXPECT(0, request(file, VEXFS_IOC_SEARCH, &argument));
	EXPECT(500, argument.distances);
	argument.method = VEXFS_SEARCH_INDEX;
	argument.results = address(indexed);
	argument.probes = 1;
	EXPECT(-ENODATA, request(file, VEXFS_IOC_SEARCH, &argument));

	make_index(file, 10);
	argument.probes = 10;
	EXPECT(0, request(file, VEXFS_IOC_SEARCH, &argument));
	EXPECT(ARRAY_SIZE(exact), argument.found);
	EXPECT(0, memcmp(exact, indexed, sizeof(exact)));
	EXPECT(500 + 10, argument.distances);

	argument.probes = 1;
	EXPECT(0, request(file, VEXFS_IOC_SEARCH, &argument));
	EXPECT_TRUE(argument.distances < 300);
	EXPECT(exact[0].id, indexed[0].id);
}

static void case_index(void)
{
	struct vexfs_ioc_index argument = { .cells = 7, .iterations = 100, .seed = ~0ULL };
	struct vexfs_ioc_index kept = argument;
	int file = create_with("c", 50);

	EXPECT(0, info(file).cells);
	EXPECT(0, request(file, VEXFS_IOC_INDEX, &argument));
	EXPECT(0, memcmp(&argument, &kept, sizeof(kept)));
	EXPECT(7, info(file).cells);
	argument.cells = 51;
	EXPECT(-ENODATA, request(file, VEXFS_IOC_INDEX, &argument));
	EXPECT(7, info(file).cells);
	argument.cells = 50;
	EXPECT(0, request(file, VEXFS_IOC_INDEX, &argument));
	EXPECT(50, info(file).cells);
	argument = (struct vexfs_ioc_index){ 0 };
	EXPECT(0, request(file, VEXFS_IOC_INDEX, &argument));
	EXPECT(0, info(file).cells);
	EXPECT(50, info(file).vectors);
}

/*
 * Pointers that lead nowhere; the last one to a hole before the kernel's memory
 * (x86_64/mm.rst of the kernel's documentation).
 */
static void case_bad_pointers(void)
{
	void *const bad[] = { NULL, (void *)8, (void *)0x7ffffffff000, (void *)0xffff800000000000 };
	static const unsigned long numbers[] = {
		VEXFS_IOC_CREATE, VEXFS_IOC_INFO, VEXFS_IOC_INSERT, VEXFS_IOC_FETCH,
		VEXFS_IOC_DELETE, VEXFS_IOC_SEARCH, VEXFS_IOC_INDEX,
	};
	struct vexfs_ioc_info before, after;
	struct vexfs_result results[2];
	__s16 vector[DIMENSION] = { 0 };
	int file = create_with("c", 10);

	before = info(file);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct vexfs_ioc_insert insertion = {
			.components = address(bad[i]), .dimension = DIMENSION, .count = 1,
		};
		struct vexfs_ioc_fetch fetch = {
			.components = address(bad[i]), .dimension = DIMENSION,
		};
		struct vexfs_ioc_search search = {
			.query = address(bad[i]), .results = address(results),
			.dimension = DIMENSION, .k = 2, .method = VEXFS_SEARCH_EXACT,
		};

		for (size_t j = 0; j < ARRAY_SIZE(numbers); j++)
			EXPECT(-EFAULT, request(file, numbers[j], bad[i]));
		EXPECT(-EFAULT, request(file, VEXFS_IOC_INSERT, &insertion));
		EXPECT(-EFAULT, request(file, VEXFS_IOC_FETCH, &fetch));
		EXPECT(-EFAULT, request(file, VEXFS_IOC_SEARCH, &search));
		search.query = address(vector);
		search.results = address(bad[i]);
		EXPECT(-EFAULT, request(file, VEXFS_IOC_SEARCH, &search));
	}
	after = info(file);
	EXPECT(0, memcmp(&before, &after, sizeof(before)));
}

/* Where a symbol of the kernel is, which only root is told. */
static void *kernel_symbol(const char *wanted)
{
	FILE *symbols = fopen("/proc/kallsyms", "r");
	char line[512], name[256];
	unsigned long at = 0;

	EXPECT_TRUE(symbols);
	while (fgets(line, sizeof(line), symbols))
		if (sscanf(line, "%lx %*c %255s", &at, name) == 2 && !strcmp(name, wanted))
			break;
	EXPECT(0, strcmp(name, wanted));
	EXPECT_TRUE(at);
	fclose(symbols);
	return (void *)at;
}

/* Memory of the kernel that is there; where it is not refused, zeros over zeros do no harm. */
static void case_kernel_memory(void)
{
	static const unsigned long readers[] = {
		VEXFS_IOC_CREATE, VEXFS_IOC_INSERT, VEXFS_IOC_FETCH,
		VEXFS_IOC_DELETE, VEXFS_IOC_SEARCH, VEXFS_IOC_INDEX,
	};
	void *zeros = kernel_symbol("empty_zero_page");
	struct vexfs_result result;
	__s16 vector[DIMENSION] = { 0 };
	struct vexfs_ioc_insert insertion = {
		.components = address(zeros), .dimension = DIMENSION, .count = 1,
	};
	struct vexfs_ioc_fetch fetch = { .components = address(zeros), .dimension = DIMENSION };
	struct vexfs_ioc_search search = {
		.query = address(zeros), .results = address(&result),
		.dimension = DIMENSION, .k = 1, .method = VEXFS_SEARCH_EXACT,
	};
	int file = create("c", DIMENSION, VEXFS_METRIC_L2);

	insert(file, vector, 1);
	for (size_t i = 0; i < ARRAY_SIZE(readers); i++)
		EXPECT(-EFAULT, request(file, readers[i], zeros));
	EXPECT(-EFAULT, request(file, VEXFS_IOC_INSERT, &insertion));
	EXPECT(-EFAULT, request(file, VEXFS_IOC_FETCH, &fetch));
	EXPECT(-EFAULT, request(file, VEXFS_IOC_SEARCH, &search));
	search.query = address(vector);
	search.results = address(zeros);
	EXPECT(-EFAULT, request(file, VEXFS_IOC_SEARCH, &search));
	EXPECT(1, info(file).ids);
}

/* A structure of which only the first page is there, and one that can't be written to. */
static void case_half_pointers(void)
{
	long page = sysconf(_SC_PAGESIZE);
	char *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	__s16 vector[DIMENSION] = { 0 };
	struct vexfs_ioc_insert insertion = {
		.components = address(vector), .dimension = DIMENSION, .count = 1,
	};
	struct vexfs_ioc_insert *fixed = (void *)memory;
	int file = create_with("c", 10);

	EXPECT_TRUE(memory != MAP_FAILED);
	EXPECT(0, munmap(memory + page, page));
	EXPECT(-EFAULT, request(file, VEXFS_IOC_INFO, memory + page - 8));
	insertion.components = address(memory + page - 4);
	EXPECT(-EFAULT, request(file, VEXFS_IOC_INSERT, &insertion));
	insertion.components = address(vector);
	*fixed = insertion;
	EXPECT(0, mprotect(memory, page, PROT_READ));
	EXPECT(-EFAULT, request(file, VEXFS_IOC_INSERT, fixed));
	EXPECT(-EFAULT, request(file, VEXFS_IOC_INFO, memory));
	/* Nobody would know the id of a vector that was inserted all the same. */
	EXPECT(10, info(file).ids);
}

static void case_reserved_fields(void)
{
	__s16 vector[DIMENSION] = { 0 };
	struct vexfs_result result;
	struct vexfs_ioc_create creation = { .dimension = 1, .metric = VEXFS_METRIC_L2 };
	struct vexfs_ioc_insert insertion = {
		.components = address(vector), .dimension = DIMENSION, .count = 1, .reserved = 1,
	};
	struct vexfs_ioc_fetch fetch = {
		.components = address(vector), .dimension = DIMENSION, .reserved = 1,
	};
	struct vexfs_ioc_delete deletion = { .reserved = 1ULL << 63 };
	struct vexfs_ioc_search search = {
		.query = address(vector), .results = address(&result), .dimension = DIMENSION,
		.k = 1, .method = VEXFS_SEARCH_EXACT, .reserved = 1,
	};
	int file = open_file("empty", O_RDWR | O_CREAT);

	for (int i = 0; i < 2; i++) {
		creation.reserved[i] = 1;
		EXPECT(-EINVAL, request(file, VEXFS_IOC_CREATE, &creation));
		creation.reserved[i] = 0;
	}
	EXPECT(0, request(file, VEXFS_IOC_CREATE, &creation));

	file = create_with("c", 10);
	EXPECT(-EINVAL, request(file, VEXFS_IOC_INSERT, &insertion));
	EXPECT(-EINVAL, request(file, VEXFS_IOC_FETCH, &fetch));
	EXPECT(-EINVAL, request(file, VEXFS_IOC_DELETE, &deletion));
	EXPECT(-EINVAL, request(file, VEXFS_IOC_SEARCH, &search));
	EXPECT(10, info(file).ids);
	EXPECT(10, info(file).vectors);
}

/* Each number just outside of its range, and another dimension than the collection's. */
static void case_wrong_numbers(void)
{
	static const __u32 dimensions[] = { 0, DIMENSION - 1, DIMENSION + 1, 1025, ~0U };
	__s16 vectors[2][1025] = { { 0 } };
	struct vexfs_result results[VEXFS_MAX_RESULTS + 1];
	struct vexfs_ioc_create creation = { .dimension = 1, .metric = VEXFS_METRIC_L2 };
	struct vexfs_ioc_insert insertion = {
		.components = address(vectors), .dimension = DIMENSION, .count = 1,
	};
	struct vexfs_ioc_fetch fetch = {
		.components = address(vectors), .dimension = DIMENSION,
	};
	struct vexfs_ioc_search search = {
		.query = address(vectors), .results = address(results), .dimension = DIMENSION,
		.k = 1, .method = VEXFS_SEARCH_EXACT,
	};
	struct vexfs_ioc_search probing = search;
	struct vexfs_ioc_index index = { .cells = 2, .iterations = 1, .seed = 1 };
	int file = open_file("empty", O_RDWR | O_CREAT);

#define REFUSED(number, original, field, value)						\
do {											\
	__typeof__(original) changed = original;					\
											\
	changed.field = value;								\
	expect(__LINE__, #number " with " #field " = " #value, -EINVAL,			\
	       request(file, number, &changed));					\
} while (0)

	REFUSED(VEXFS_IOC_CREATE, creation, dimension, 0);
	REFUSED(VEXFS_IOC_CREATE, creation, dimension, VEXFS_MAX_DIMENSION + 1);
	REFUSED(VEXFS_IOC_CREATE, creation, metric, 0);
	REFUSED(VEXFS_IOC_CREATE, creation, metric, 3);

	file = create_with("c", 10);
	make_index(file, 3);
	for (size_t i = 0; i < ARRAY_SIZE(dimensions); i++) {
		REFUSED(VEXFS_IOC_INSERT, insertion, dimension, dimensions[i]);
		REFUSED(VEXFS_IOC_FETCH, fetch, dimension, dimensions[i]);
		REFUSED(VEXFS_IOC_SEARCH, search, dimension, dimensions[i]);
	}
	REFUSED(VEXFS_IOC_INSERT, insertion, count, 0);
	REFUSED(VEXFS_IOC_INSERT, insertion, count, VEXFS_MAX_INSERT + 1);
	REFUSED(VEXFS_IOC_INSERT, insertion, count, ~0U);
	REFUSED(VEXFS_IOC_SEARCH, search, k, 0);
	REFUSED(VEXFS_IOC_SEARCH, search, k, VEXFS_MAX_RESULTS + 1);
	REFUSED(VEXFS_IOC_SEARCH, search, k, ~0U);
	REFUSED(VEXFS_IOC_SEARCH, search, method, 0);
	REFUSED(VEXFS_IOC_SEARCH, search, method, 3);
	REFUSED(VEXFS_IOC_SEARCH, search, probes, 1);
	REFUSED(VEXFS_IOC_SEARCH, search, method, VEXFS_SEARCH_INDEX);
	REFUSED(VEXFS_IOC_INDEX, index, cells, VEXFS_MAX_CELLS + 1);
	REFUSED(VEXFS_IOC_INDEX, index, iterations, 0);
	REFUSED(VEXFS_IOC_INDEX, index, iterations, VEXFS_MAX_ITERATIONS + 1);
	REFUSED(VEXFS_IOC_INDEX, index, cells, 0);

	probing.method = VEXFS_SEARCH_INDEX;
	REFUSED(VEXFS_IOC_SEARCH, probing, probes, 4);
	probing.probes = 3;
	EXPECT(0, request(file, VEXFS_IOC_SEARCH, &probing));
	EXPECT(10, info(file).ids);
	EXPECT(3, info(file).cells);
}

static void case_not_open_for_writing(void)
{
	__s16 vector[DIMENSION] = { 0 };
	struct vexfs_result result;
	struct vexfs_ioc_create creation = { .dimension = 1, .metric = VEXFS_METRIC_L2 };
	struct vexfs_ioc_insert insertion = {
		.components = address(vector), .dimension = DIMENSION, .count = 1,
	};
	struct vexfs_ioc_fetch fetch = { .components = address(vector), .dimension = DIMENSION };
	struct vexfs_ioc_delete deletion = { .id = 0 };
	struct vexfs_ioc_search search = {
		.query = address(vector), .results = address(&result), .dimension = DIMENSION,
		.k = 1, .method = VEXFS_SEARCH_EXACT,
	};
	struct vexfs_ioc_index index = { .cells = 2, .iterations = 1 };
	int file;

	close(open_file("empty", O_RDWR | O_CREAT));
	file = open_file("empty", O_RDONLY);
	EXPECT(-EBADF, request(file, VEXFS_IOC_CREATE, &creation));
	close(create_with("c", 10));
	file = open_file("c", O_RDONLY);
	EXPECT(-EBADF, request(file, VEXFS_IOC_INSERT, &insertion));
	EXPECT(-EBADF, request(file, VEXFS_IOC_DELETE, &deletion));
	EXPECT(-EBADF, request(file, VEXFS_IOC_INDEX, &index));
	EXPECT(0, request(file, VEXFS_IOC_FETCH, &fetch));
	EXPECT(0, request(file, VEXFS_IOC_SEARCH, &search));
	EXPECT(10, info(file).vectors);
	file = open_file("c", O_PATH);
	EXPECT(-EBADF, request(file, VEXFS_IOC_FETCH, &fetch));
}

static void case_no_collection(void)
{
	__s16 vector[DIMENSION] = { 0 };
	struct vexfs_result result;
	struct vexfs_ioc_create creation = { .dimension = 1, .metric = VEXFS_METRIC_L2 };
	struct vexfs_ioc_info information;
	struct vexfs_ioc_insert insertion = {
		.components = address(vector), .dimension = DIMENSION, .count = 1,
	};
	struct vexfs_ioc_fetch fetch = { .components = address(vector), .dimension = DIMENSION };
	struct vexfs_ioc_delete deletion = { .id = 0 };
	struct vexfs_ioc_search search = {
		.query = address(vector), .results = address(&result), .dimension = DIMENSION,
		.k = 1, .method = VEXFS_SEARCH_EXACT,
	};
	struct vexfs_ioc_index index = { .cells = 2, .iterations = 1 };
	int file = open_file("plain", O_RDWR | O_CREAT);

	EXPECT(8192, pwrite(file, memset(malloc(8192), 1, 8192), 8192, 0));
	for (int i = 0; i < 2; i++) {
		EXPECT(-ENOTTY, request(file, VEXFS_IOC_INFO, &information));
		EXPECT(-ENOTTY, request(file, VEXFS_IOC_FETCH, &fetch));
		EXPECT(-ENOTTY, request(file, VEXFS_IOC_SEARCH, &search));
		/* A folder can't be opened for writing. */
		if (i == 0) {
			EXPECT(-ENOTTY, request(file, VEXFS_IOC_INSERT, &insertion));
			EXPECT(-ENOTTY, request(file, VEXFS_IOC_DELETE, &deletion));
			EXPECT(-ENOTTY, request(file, VEXFS_IOC_INDEX, &index));
		}
		file = open_file(".", O_RDONLY | O_DIRECTORY);
	}
	EXPECT(-ENOTTY, request(file, VEXFS_IOC_CREATE, &creation));
	file = create_with("c", 1);
	EXPECT(-ENOTTY, request(file, _IO(VEXFS_IOC_MAGIC, 8), NULL));
	EXPECT(-ENOTTY, request(file, _IOR(VEXFS_IOC_MAGIC, 2, char), &information));
}

/* What a collection holds is changed by requests only. */
static void case_other_changes(void)
{
	int file = create_with("c", 10);
	char byte;

	EXPECT(-1, write(file, "x", 1));
	EXPECT(EPERM, errno);
	EXPECT(-1, ftruncate(file, 0));
	EXPECT(EPERM, errno);
	EXPECT(-1, fallocate(file, 0, 0, 4096));
	EXPECT_TRUE(errno == EPERM || errno == EOPNOTSUPP);
	EXPECT_TRUE(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) == MAP_FAILED);
	EXPECT(EPERM, errno);
	EXPECT(1, pread(file, &byte, 1, 0));
	EXPECT('V', byte);
	EXPECT(10, info(file).vectors);
}

int main(int count, char **arguments)
{
	static const struct test_case cases[] = {
		{ "create", case_create },
		{ "info", case_info },
		{ "insert", case_insert },
		{ "fetch", case_fetch },
		{ "delete", case_delete },
		{ "search", case_search },
		{ "search-index", case_search_index },
		{ "index", case_index },
		{ "bad-pointers", case_bad_pointers },
		{ "kernel-memory", case_kernel_memory },
		{ "half-pointers", case_half_pointers },
		{ "reserved-fields", case_reserved_fields },
		{ "wrong-numbers", case_wrong_numbers },
		{ "not-open-for-writing", case_not_open_for_writing },
		{ "no-collection", case_no_collection },
		{ "other-changes", case_other_changes },
	};

	return run_case(count, arguments, cases, ARRAY_SIZE(cases));
}
