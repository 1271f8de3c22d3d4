/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vexfs: the format on disk, version 1.
 *
 * This header is the contract between the kernel module and programs in user
 * space; docs/format.md explains it.  All numbers are little-endian.  The
 * offsets are asserted below, and the tests of the Rust crate vexfs_format
 * read the same assertions from this file.
 */
#ifndef VEXFS_FORMAT_H
#define VEXFS_FORMAT_H

#include <linux/types.h>

#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/stddef.h>
#else
#include <assert.h>
#include <stddef.h>
#endif

#define VEXFS_MAGIC			0x46584556	/* "VEXF" */
#define VEXFS_VERSION			1

#define VEXFS_BLOCK_BITS		12
#define VEXFS_BLOCK_SIZE		4096
#define VEXFS_MIN_BLOCKS		16
#define VEXFS_MAX_BLOCKS		0xffffffff
#define VEXFS_MIN_INODES		16

#define VEXFS_SUPERBLOCK		0	/* block number */
#define VEXFS_ROOT_INODE		1	/* inode numbers start at 1 */

#define VEXFS_STATE_CLEAN		1	/* unmounted in good order */
#define VEXFS_STATE_IN_USE		2	/* mounted for writing */

#define VEXFS_LABEL_SIZE		32

struct vexfs_superblock {
	__le32 magic;
	__le32 checksum;
	__le32 version;
	__le32 block_size;
	__le64 block_count;
	__le32 inode_count;
	__le32 state;
	__le32 inode_bitmap;		/* first block of each area, */
	__le32 inode_bitmap_blocks;	/* and its length in blocks */
	__le32 block_bitmap;
	__le32 block_bitmap_blocks;
	__le32 inode_table;
	__le32 inode_table_blocks;
	__le32 data;
	__le32 root_inode;
	__le64 created;			/* seconds since 1970 */
	__u8 uuid[16];
	__u8 label[VEXFS_LABEL_SIZE];	/* padded with zeros */
	__u8 reserved[136];		/* zero */
};

/* Every block of bitmap, directory and pointers starts with this header. */
#define VEXFS_BITMAP_MAGIC		0x4d425856	/* "VXBM" */
#define VEXFS_DIRECTORY_MAGIC		0x52445856	/* "VXDR" */
#define VEXFS_POINTERS_MAGIC		0x54505856	/* "VXPT" */

struct vexfs_block_header {
	__le32 magic;
	__le32 checksum;
	__le32 owner;			/* inode number; 0 for bitmaps */
	__le32 reserved;		/* zero */
};

#define VEXFS_HEADER_SIZE		16
#define VEXFS_PAYLOAD_SIZE		4080
#define VEXFS_BITS_PER_BLOCK		32640
#define VEXFS_POINTERS_PER_BLOCK	1020

#define VEXFS_INODE_MAGIC		0x4e495856	/* "VXIN" */
#define VEXFS_INODE_SIZE		256
#define VEXFS_INODES_PER_BLOCK		16
#define VEXFS_MAX_LINKS			65000

#define VEXFS_DIRECT			12
#define VEXFS_INDIRECT			12	/* index of the pointer to a block of pointers */
#define VEXFS_DOUBLE_INDIRECT		13	/* and to a block of pointers to those */
#define VEXFS_POINTERS			14
/* VEXFS_DIRECT + 1020 + 1020 * 1020 */
#define VEXFS_MAX_FILE_BLOCKS		1041432

#define VEXFS_INODE_COLLECTION		1	/* flag of a regular file; all others are zero */

struct vexfs_disk_inode {
	__le32 magic;
	__le32 checksum;
	__le32 generation;
	__le16 mode;
	__le16 flags;
	__le32 links;
	__le32 uid;
	__le32 gid;
	__le32 blocks;			/* data and pointer blocks it holds */
	__le64 size;
	__le64 atime;			/* seconds since 1970, signed */
	__le64 mtime;
	__le64 ctime;
	__le32 atime_nsec;
	__le32 mtime_nsec;
	__le32 ctime_nsec;
	__le32 pointers[VEXFS_POINTERS];
	__u8 reserved[124];		/* zero */
};

/*
 * Records fill the payload of a directory block without a gap.  A record with
 * inode 0 is free space.  "." and ".." are not stored.
 */
struct vexfs_dirent {
	__le32 inode;
	__le16 length;			/* of the record, in bytes */
	__u8 name_length;
	__u8 type;			/* DT_REG, DT_DIR or DT_LNK */
	__u8 name[];			/* without a final zero */
};

#define VEXFS_DIRENT_SIZE		8
#define VEXFS_DIRENT_ALIGN		8
#define VEXFS_NAME_MAX			255

/*
 * A collection is a regular file of a form of its own: one block that starts
 * with this header, the centroids of the index, and then groups of vectors: a
 * block of entries, and the blocks of their components.
 */
#define VEXFS_COLLECTION_MAGIC		0x4c435856	/* "VXCL" */
#define VEXFS_COLLECTION_SIZE		256

struct vexfs_collection {
	__le32 magic;
	__le32 checksum;
	__le32 dimension;
	__le32 metric;			/* VEXFS_METRIC_ of uapi/vexfs.h */
	__le32 cells;			/* of the index; 0: there is none */
	__le32 centroid_checksum;	/* 0 without an index */
	__le32 generation;		/* of the inode */
	__u8 reserved[228];		/* zero, as is the rest of the block */
};

#define VEXFS_ENTRY_SIZE		16
#define VEXFS_ENTRIES_PER_BLOCK		256	/* and vectors of a group */

#define VEXFS_ENTRY_LIVE		1
#define VEXFS_ENTRY_DELETED		2

/* An entry of zeros: the id was never given. */
struct vexfs_entry {
	__le32 checksum;		/* of the entry */
	__le32 data_checksum;		/* of the vector's components */
	__le16 state;
	__le16 cell;			/* of a live vector; 0 without an index */
	__le32 generation;		/* of the inode */
};

#define VEXFS_OFFSET(type, member, offset) \
	static_assert(offsetof(struct type, member) == (offset), #type "." #member)
#define VEXFS_SIZE(type, size) \
	static_assert(sizeof(struct type) == (size), #type)

VEXFS_OFFSET(vexfs_superblock, magic, 0);
VEXFS_OFFSET(vexfs_superblock, checksum, 4);
VEXFS_OFFSET(vexfs_superblock, version, 8);
VEXFS_OFFSET(vexfs_superblock, block_size, 12);
VEXFS_OFFSET(vexfs_superblock, block_count, 16);
VEXFS_OFFSET(vexfs_superblock, inode_count, 24);
VEXFS_OFFSET(vexfs_superblock, state, 28);
VEXFS_OFFSET(vexfs_superblock, inode_bitmap, 32);
VEXFS_OFFSET(vexfs_superblock, inode_bitmap_blocks, 36);
VEXFS_OFFSET(vexfs_superblock, block_bitmap, 40);
VEXFS_OFFSET(vexfs_superblock, block_bitmap_blocks, 44);
VEXFS_OFFSET(vexfs_superblock, inode_table, 48);
VEXFS_OFFSET(vexfs_superblock, inode_table_blocks, 52);
VEXFS_OFFSET(vexfs_superblock, data, 56);
VEXFS_OFFSET(vexfs_superblock, root_inode, 60);
VEXFS_OFFSET(vexfs_superblock, created, 64);
VEXFS_OFFSET(vexfs_superblock, uuid, 72);
VEXFS_OFFSET(vexfs_superblock, label, 88);
VEXFS_OFFSET(vexfs_superblock, reserved, 120);
VEXFS_SIZE(vexfs_superblock, 256);

VEXFS_OFFSET(vexfs_block_header, magic, 0);
VEXFS_OFFSET(vexfs_block_header, checksum, 4);
VEXFS_OFFSET(vexfs_block_header, owner, 8);
VEXFS_OFFSET(vexfs_block_header, reserved, 12);
VEXFS_SIZE(vexfs_block_header, 16);

VEXFS_OFFSET(vexfs_disk_inode, magic, 0);
VEXFS_OFFSET(vexfs_disk_inode, checksum, 4);
VEXFS_OFFSET(vexfs_disk_inode, generation, 8);
VEXFS_OFFSET(vexfs_disk_inode, mode, 12);
VEXFS_OFFSET(vexfs_disk_inode, flags, 14);
VEXFS_OFFSET(vexfs_disk_inode, links, 16);
VEXFS_OFFSET(vexfs_disk_inode, uid, 20);
VEXFS_OFFSET(vexfs_disk_inode, gid, 24);
VEXFS_OFFSET(vexfs_disk_inode, blocks, 28);
VEXFS_OFFSET(vexfs_disk_inode, size, 32);
VEXFS_OFFSET(vexfs_disk_inode, atime, 40);
VEXFS_OFFSET(vexfs_disk_inode, mtime, 48);
VEXFS_OFFSET(vexfs_disk_inode, ctime, 56);
VEXFS_OFFSET(vexfs_disk_inode, atime_nsec, 64);
VEXFS_OFFSET(vexfs_disk_inode, mtime_nsec, 68);
VEXFS_OFFSET(vexfs_disk_inode, ctime_nsec, 72);
VEXFS_OFFSET(vexfs_disk_inode, pointers, 76);
VEXFS_OFFSET(vexfs_disk_inode, reserved, 132);
VEXFS_SIZE(vexfs_disk_inode, 256);

VEXFS_OFFSET(vexfs_dirent, inode, 0);
VEXFS_OFFSET(vexfs_dirent, length, 4);
VEXFS_OFFSET(vexfs_dirent, name_length, 6);
VEXFS_OFFSET(vexfs_dirent, type, 7);
VEXFS_OFFSET(vexfs_dirent, name, 8);
VEXFS_SIZE(vexfs_dirent, 8);

VEXFS_OFFSET(vexfs_collection, magic, 0);
VEXFS_OFFSET(vexfs_collection, checksum, 4);
VEXFS_OFFSET(vexfs_collection, dimension, 8);
VEXFS_OFFSET(vexfs_collection, metric, 12);
VEXFS_OFFSET(vexfs_collection, cells, 16);
VEXFS_OFFSET(vexfs_collection, centroid_checksum, 20);
VEXFS_OFFSET(vexfs_collection, generation, 24);
VEXFS_OFFSET(vexfs_collection, reserved, 28);
VEXFS_SIZE(vexfs_collection, 256);

VEXFS_OFFSET(vexfs_entry, checksum, 0);
VEXFS_OFFSET(vexfs_entry, data_checksum, 4);
VEXFS_OFFSET(vexfs_entry, state, 8);
VEXFS_OFFSET(vexfs_entry, cell, 10);
VEXFS_OFFSET(vexfs_entry, generation, 12);
VEXFS_SIZE(vexfs_entry, 16);

#endif /* VEXFS_FORMAT_H */
