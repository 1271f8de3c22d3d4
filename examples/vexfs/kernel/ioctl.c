// SPDX-License-Identifier: GPL-2.0
/* vexfs: collections for programs.  Copies from and to user space around ffi.c. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>
#include <linux/uaccess.h>

#include "collection.h"

static long vexfs_ioctl_create(struct file *file, struct vexfs_ioc_create __user *argument)
{
	struct vexfs_ioc_create create;

	if (copy_from_user(&create, argument, sizeof(create)))
		return -EFAULT;
	if (create.reserved[0] || create.reserved[1])
		return -EINVAL;
	return vexfs_ffi_create(file, create.dimension, create.metric);
}

static long vexfs_ioctl_info(struct file *file, struct vexfs_ioc_info __user *argument)
{
	struct vexfs_ioc_info result = {};
	struct vexfs_ffi_info info;
	int error;

	error = vexfs_ffi_info(file, &info);
	if (error)
		return error;
	result.dimension = info.dimension;
	result.metric = info.metric;
	result.cells = info.cells;
	result.ids = info.ids;
	result.vectors = info.vectors;
	return copy_to_user(argument, &result, sizeof(result)) ? -EFAULT : 0;
}

/* The components of some vectors; to be freed by kvfree(). */
static s16 *vexfs_components_from_user(u64 address, u32 dimension, u32 count)
{
	if (!dimension || dimension > VEXFS_MAX_DIMENSION)
		return ERR_PTR(-EINVAL);
	return vmemdup_user(u64_to_user_ptr(address), (size_t)count * dimension * sizeof(s16));
}

static long vexfs_ioctl_insert(struct file *file, struct vexfs_ioc_insert __user *argument)
{
	struct vexfs_ioc_insert insert;
	s16 *components;
	u64 first;
	int error;

	if (copy_from_user(&insert, argument, sizeof(insert)))
		return -EFAULT;
	if (insert.reserved || !insert.count || insert.count > VEXFS_MAX_INSERT)
		return -EINVAL;
	/* Afterwards would be too late: the vectors are there then. */
	if (put_user(0, &argument->first))
		return -EFAULT;
	components = vexfs_components_from_user(insert.components, insert.dimension, insert.count);
	if (IS_ERR(components))
		return PTR_ERR(components);
	error = vexfs_ffi_insert(file, components, insert.dimension, insert.count, &first);
	kvfree(components);
	if (error)
		return error;
	return put_user(first, &argument->first);
}

static long vexfs_ioctl_fetch(struct file *file, struct vexfs_ioc_fetch __user *argument)
{
	struct vexfs_ioc_fetch fetch;
	size_t size;
	s16 *components;
	int error;

	if (copy_from_user(&fetch, argument, sizeof(fetch)))
		return -EFAULT;
	if (fetch.reserved || !fetch.dimension || fetch.dimension > VEXFS_MAX_DIMENSION)
		return -EINVAL;
	size = fetch.dimension * sizeof(*components);
	components = kmalloc(size, GFP_KERNEL);
	if (!components)
		return -ENOMEM;
	error = vexfs_ffi_fetch(file, fetch.id, components, fetch.dimension);
	if (!error && copy_to_user(u64_to_user_ptr(fetch.components), components, size))
		error = -EFAULT;
	kfree(components);
	return error;
}

static long vexfs_ioctl_delete(struct file *file, struct vexfs_ioc_delete __user *argument)
{
	struct vexfs_ioc_delete delete;

	if (copy_from_user(&delete, argument, sizeof(delete)))
		return -EFAULT;
	if (delete.reserved)
		return -EINVAL;
	return vexfs_ffi_delete(file, delete.id);
}

static long vexfs_ioctl_search(struct file *file, struct vexfs_ioc_search __user *argument)
{
	struct vexfs_ioc_search request;
	struct vexfs_ffi_search search;
	s16 *query;
	int error;

	if (copy_from_user(&request, argument, sizeof(request)))
		return -EFAULT;
	if (request.reserved || !request.k || request.k > VEXFS_MAX_RESULTS)
		return -EINVAL;
	query = vexfs_components_from_user(request.query, request.dimension, 1);
	if (IS_ERR(query))
		return PTR_ERR(query);
	search = (struct vexfs_ffi_search){
		.query = query,
		.results = kvcalloc(request.k, sizeof(*search.results), GFP_KERNEL),
		.dimension = request.dimension,
		.k = request.k,
		.method = request.method,
		.probes = request.probes,
	};
	error = search.results ? vexfs_ffi_search(file, &search) : -ENOMEM;
	if (!error) {
		request.found = search.found;
		request.distances = search.distances;
		if (copy_to_user(u64_to_user_ptr(request.results), search.results,
				 search.found * sizeof(*search.results)) ||
		    copy_to_user(argument, &request, sizeof(request)))
			error = -EFAULT;
	}
	kvfree(search.results);
	kvfree(query);
	return error;
}

static long vexfs_ioctl_index(struct file *file, struct vexfs_ioc_index __user *argument)
{
	struct vexfs_ioc_index index;

	if (copy_from_user(&index, argument, sizeof(index)))
		return -EFAULT;
	return vexfs_ffi_index(file, index.cells, index.iterations, index.seed);
}

long vexfs_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	void __user *user = (void __user *)argument;

	switch (command) {
	case VEXFS_IOC_CREATE:
		return vexfs_ioctl_create(file, user);
	case VEXFS_IOC_INFO:
		return vexfs_ioctl_info(file, user);
	case VEXFS_IOC_INSERT:
		return vexfs_ioctl_insert(file, user);
	case VEXFS_IOC_FETCH:
		return vexfs_ioctl_fetch(file, user);
	case VEXFS_IOC_DELETE:
		return vexfs_ioctl_delete(file, user);
	case VEXFS_IOC_SEARCH:
		return vexfs_ioctl_search(file, user);
	case VEXFS_IOC_INDEX:
		return vexfs_ioctl_index(file, user);
	default:
		return -ENOTTY;
	}
}
