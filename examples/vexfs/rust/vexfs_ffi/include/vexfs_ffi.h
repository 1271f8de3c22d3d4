/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libvexfs_ffi: collections of vectors on a mounted vexfs, for programs in C.
 *
 * The constants and structures are those of the kernel's header vexfs.h, which
 * has to be where the compiler finds it: -I kernel/uapi -I rust/vexfs_ffi/include
 *
 * An open collection is a file descriptor, so fsync(2), read(2), fcntl(2) and
 * so on work with it, and it is inherited by fork(2).  The functions have no
 * state: any thread may call them at any time, also on the same file.
 *
 * Each returns 0 or what is said below, or a negative number of errno(3), in
 * which case nothing has changed and nothing was returned through a pointer,
 * unless it is said below.  The errors are those of vexfs.h and of open(2) and
 * ioctl(2), and:
 *   -EFAULT           a pointer is NULL that must not be; the kernel finds
 *                     others that lead nowhere
 *   -EINVAL           a number is out of its range
 *   -ENOTTY           the file is no collection of vectors
 *   -ENOTRECOVERABLE  a mistake in this library, told on standard error; it
 *                     never unwinds into the caller
 * errno itself may be changed by any call.
 *
 * All memory is the caller's: no function keeps a pointer after it has
 * returned, and none allocates what the caller would have to free.  Pointers
 * to components must be aligned to 2 bytes, others need no alignment.
 */
#ifndef VEXFS_FFI_H
#define VEXFS_FFI_H

#include <linux/types.h>

#include "vexfs.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Makes a collection of a new file or of an empty one.  A file that was made
 * for it is removed when it fails.  Returns a file descriptor, open for reading
 * and writing and closed by exec: give it to vexfs_close() or close(2).
 */
int vexfs_create(const char *name, __u32 dimension, __u32 metric);

/*
 * Opens a collection; @mode is O_RDONLY (enough for info, fetch and search) or
 * O_RDWR.  Returns a file descriptor like that of vexfs_create().
 */
int vexfs_open(const char *name, int mode);

/* Closes it, whatever is returned.  What must be on the disk needs fsync(2) before. */
int vexfs_close(int file);

int vexfs_info(int file, struct vexfs_ioc_info *result);

/*
 * Adds @count vectors of @dimension components each, which follow each other:
 * all or none.  They get the ids from *@first on; @first may be NULL.
 */
int vexfs_insert(int file, const __s16 *components, __u32 dimension, __u32 count, __u64 *first);

/* Reads a vector into @components, which has room for @dimension of them. */
int vexfs_fetch(int file, __u64 id, __s16 *components, __u32 dimension);

int vexfs_delete(int file, __u64 id);

/*
 * Finds the @k vectors nearest to @query, the nearest first, by the @probes
 * nearest cells of the index; exactly with @probes 0.  @results has room for
 * @k; returns how many were found.  *@distances becomes the number of distances
 * that were computed; @distances may be NULL.  After an error @results may have
 * changed.
 */
int vexfs_search(int file, const __s16 *query, __u32 dimension, __u32 probes,
		 struct vexfs_result *results, __u32 k, __u64 *distances);

/* Makes the index anew; with @cells and @iterations 0 it is removed. */
int vexfs_index(int file, __u32 cells, __u32 iterations, __u64 seed);

/*
 * The distance of two vectors, the same integer as the kernel's.  It needs no
 * collection and no vexfs.  Both have @dimension components: a pointer that
 * leads elsewhere is as bad as anywhere in C.
 */
int vexfs_distance(__u32 metric, const __s16 *a, const __s16 *b, __u32 dimension, __u64 *distance);

/*
 * What an error means, for a person.  Takes what the functions above return, or
 * a positive number of errno(3).  Never NULL; not to be freed or changed; valid
 * until the same thread calls it again.
 */
const char *vexfs_strerror(int error);

#ifdef __cplusplus
}
#endif

#endif /* VEXFS_FFI_H */
