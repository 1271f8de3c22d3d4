/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * vexfs: what programs ask of the module about collections of vectors.
 *
 * A collection is a regular file that VEXFS_IOC_CREATE has made one: a set of
 * vectors with one number of components, each with an id that is never given
 * to another.  docs/collections.md explains it.  All requests are made on an
 * open file; those that change the collection need one that is open for
 * writing.
 *
 * Errors that all have in common: ENOTTY the file is no collection (CREATE:
 * no regular file), EBADF not open for writing (FETCH and SEARCH: for reading),
 * EFAULT a wrong pointer, EINVAL a reserved field that isn't zero or a number
 * out of its range, EUCLEAN damage on the disk, EROFS, ENOSPC, EIO, ENOMEM,
 * EINTR.
 */
#ifndef VEXFS_UAPI_H
#define VEXFS_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define VEXFS_MAX_DIMENSION		1024
#define VEXFS_MAX_VECTORS		(1 << 20)	/* ids of one collection */
#define VEXFS_MAX_INSERT		1024		/* vectors of one request */
#define VEXFS_MAX_RESULTS		1024		/* k of one search */
#define VEXFS_MAX_CELLS			256
#define VEXFS_MAX_ITERATIONS		100

/* How far two vectors are from each other, as an integer; 0 is equal. */
#define VEXFS_METRIC_L2			1	/* the square of the Euclidean distance */
#define VEXFS_METRIC_COSINE		2	/* (1 - cosine) * VEXFS_COSINE_ONE */

/*
 * The cosine distance is VEXFS_COSINE_ONE - sign(dot) * s, where s is
 * |dot| * 2^42 / (r(a) * r(b)), rounded down, at most VEXFS_COSINE_ONE, and
 * r(x) is the square root of x.x * 2^22, rounded down.  It is from 0 to twice
 * VEXFS_COSINE_ONE; with a vector of zeros it is VEXFS_COSINE_ONE.
 */
#define VEXFS_COSINE_ONE		(1 << 20)

/* Makes an empty regular file a collection.  EEXIST: it is one; ENOTEMPTY. */
struct vexfs_ioc_create {
	__u32 dimension;		/* 1 to VEXFS_MAX_DIMENSION */
	__u32 metric;
	__u32 reserved[2];
};

struct vexfs_ioc_info {
	__u32 dimension;
	__u32 metric;
	__u32 cells;			/* of the index; 0: there is none */
	__u32 reserved;
	__u64 ids;			/* given so far: the next one */
	__u64 vectors;			/* of these, not deleted */
};

/*
 * Adds @count vectors, which get the ids from @first on; all of them or none.
 * EINVAL: another dimension than the collection's; EFBIG: too many ids.
 */
struct vexfs_ioc_insert {
	__u64 components;		/* pointer to __s16[count][dimension] */
	__u32 dimension;
	__u32 count;			/* 1 to VEXFS_MAX_INSERT */
	__u64 first;			/* returned */
	__u64 reserved;
};

/* Reads one vector.  ENOENT: there is none, or no more. */
struct vexfs_ioc_fetch {
	__u64 id;
	__u64 components;		/* pointer to __s16[dimension] */
	__u32 dimension;
	__u32 reserved;
};

/* Deletes one vector.  ENOENT: there is none, or no more. */
struct vexfs_ioc_delete {
	__u64 id;
	__u64 reserved;
};

struct vexfs_result {
	__u64 id;
	__u64 distance;
};

/*
 * Finds the @k vectors that are nearest to a query, the nearest first; of two
 * that are as near, the one with the smaller id.
 *
 * VEXFS_SEARCH_EXACT compares the query with all.  VEXFS_SEARCH_INDEX compares
 * it with the centroids of the index and with the vectors in the @probes cells
 * that are nearest to it.  ENODATA: there is no index.
 */
#define VEXFS_SEARCH_EXACT		1
#define VEXFS_SEARCH_INDEX		2

struct vexfs_ioc_search {
	__u64 query;			/* pointer to __s16[dimension] */
	__u64 results;			/* pointer to struct vexfs_result[k] */
	__u32 dimension;
	__u32 k;			/* 1 to VEXFS_MAX_RESULTS */
	__u32 method;
	__u32 probes;			/* 1 to the index's cells; EXACT: 0 */
	__u32 found;			/* returned: less than k if there are no more */
	__u32 reserved;
	__u64 distances;		/* returned: how many were computed */
};

/*
 * Makes the index anew: an inverted file (Sivic and Zisserman, Video Google,
 * ICCV 2003; Jegou, Douze and Schmid, Product quantization for nearest
 * neighbor search, PAMI 2011, section IV).  k-means puts each vector into the
 * cell of the nearest centroid; later vectors go to theirs when they are
 * inserted.  @cells 0 removes the index.  ENODATA: fewer vectors than cells.
 */
struct vexfs_ioc_index {
	__u32 cells;			/* 0 to VEXFS_MAX_CELLS */
	__u32 iterations;		/* 1 to VEXFS_MAX_ITERATIONS; 0 with cells 0 */
	__u64 seed;			/* of the choice of the first centroids */
};

#define VEXFS_IOC_MAGIC			0xb7

#define VEXFS_IOC_CREATE	_IOW(VEXFS_IOC_MAGIC, 1, struct vexfs_ioc_create)
#define VEXFS_IOC_INFO		_IOR(VEXFS_IOC_MAGIC, 2, struct vexfs_ioc_info)
#define VEXFS_IOC_INSERT	_IOWR(VEXFS_IOC_MAGIC, 3, struct vexfs_ioc_insert)
#define VEXFS_IOC_FETCH		_IOW(VEXFS_IOC_MAGIC, 4, struct vexfs_ioc_fetch)
#define VEXFS_IOC_DELETE	_IOW(VEXFS_IOC_MAGIC, 5, struct vexfs_ioc_delete)
#define VEXFS_IOC_SEARCH	_IOWR(VEXFS_IOC_MAGIC, 6, struct vexfs_ioc_search)
#define VEXFS_IOC_INDEX		_IOW(VEXFS_IOC_MAGIC, 7, struct vexfs_ioc_index)

#endif /* VEXFS_UAPI_H */
