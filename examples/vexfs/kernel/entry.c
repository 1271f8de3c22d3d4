// SPDX-License-Identifier: GPL-2.0
/*
 * vexfs: a vector of a collection on the disk, which is an entry and components.
 *
 * Both are verified each time they leave the page cache: unlike a block of a
 * directory they may have left memory and come back since they were loaded.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "collection.h"

static u64 vexfs_vector_place(struct inode *inode, u32 id)
{
	return (u64)inode->i_ino << 32 | id;
}

static __le32 vexfs_entry_checksum(struct inode *inode, u32 id, const struct vexfs_entry *entry)
{
	struct vexfs_entry copy = *entry;

	copy.checksum = 0;
	return cpu_to_le32(vexfs_data_checksum(VEXFS_SB(inode->i_sb)->uuid,
					       vexfs_vector_place(inode, id),
					       &copy, sizeof(copy)));
}

/* Whether the entry's id was ever given to a vector. */
bool vexfs_entry_is_given(const struct vexfs_entry *entry)
{
	return memchr_inv(entry, 0, sizeof(*entry));
}

/* Returns what is wrong with the entry of an id that was given, or NULL. */
const char *vexfs_entry_fault(struct inode *inode, u32 id, const struct vexfs_entry *entry)
{
	if (entry->checksum != vexfs_entry_checksum(inode, id, entry))
		return "wrong checksum";
	if (le16_to_cpu(entry->state) != VEXFS_ENTRY_LIVE &&
	    le16_to_cpu(entry->state) != VEXFS_ENTRY_DELETED)
		return "unknown state";
	if (le32_to_cpu(entry->generation) != inode->i_generation)
		return "of an earlier file";
	return NULL;
}

/* To be called when the entry has changed. */
void vexfs_entry_seal(struct inode *inode, u32 id, struct vexfs_entry *entry)
{
	entry->generation = cpu_to_le32(inode->i_generation);
	entry->checksum = vexfs_entry_checksum(inode, id, entry);
}

/* Checks the entry of a vector that memory says is live. */
int vexfs_entry_check(struct inode *inode, u32 id, const struct vexfs_entry *entry)
{
	const char *fault = vexfs_entry_fault(inode, id, entry);

	if (!fault && le16_to_cpu(entry->state) != VEXFS_ENTRY_LIVE)
		fault = "not live any more";
	if (fault) {
		vexfs_damaged(inode->i_sb, "inode %llu, vector %u: %s", (u64)inode->i_ino, id,
			      fault);
		return -EUCLEAN;
	}
	return 0;
}

/* Reads the entry of a live vector. */
int vexfs_entry_read(struct vexfs_reader *reader, u32 id, struct vexfs_entry *entry)
{
	u32 dimension = VEXFS_I(reader->inode)->vectors->dimension;
	int error;

	error = vexfs_read_content(reader, &reader->entries, vexfs_entry_pos(dimension, id),
				   entry, sizeof(*entry));
	return error ?: vexfs_entry_check(reader->inode, id, entry);
}

u32 vexfs_components_checksum(struct inode *inode, u32 id, const __le16 *components)
{
	size_t size = VEXFS_I(inode)->vectors->dimension * sizeof(*components);

	return vexfs_data_checksum(VEXFS_SB(inode->i_sb)->uuid, vexfs_vector_place(inode, id),
				   components, size);
}

/* Reads the components of a live vector. */
int vexfs_components_read(struct vexfs_reader *reader, u32 id, s16 *components)
{
	struct inode *inode = reader->inode;
	u32 dimension = VEXFS_I(inode)->vectors->dimension;
	__le16 *raw = (__force __le16 *)components;
	struct vexfs_entry entry;
	int error;
	u32 i;

	error = vexfs_entry_read(reader, id, &entry);
	if (error)
		return error;
	error = vexfs_read_content(reader, &reader->components,
				   vexfs_components_pos(dimension, id),
				   raw, dimension * sizeof(*raw));
	if (error)
		return error;
	if (le32_to_cpu(entry.data_checksum) != vexfs_components_checksum(inode, id, raw)) {
		vexfs_damaged(inode->i_sb, "inode %llu, vector %u: wrong checksum of the components",
			      (u64)inode->i_ino, id);
		return -EUCLEAN;
	}
	for (i = 0; i < dimension; i++)
		components[i] = le16_to_cpu(raw[i]);
	return 0;
}
