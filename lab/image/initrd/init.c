/*
 * The only program of the initrd: loads the modules that the root disk needs, mounts it and hands
 * over to its init. The distribution's initrd does the same for any machine, with udev and shell
 * scripts; under emulation those cost seconds of every boot, and this machine is always the same.
 *
 * Understood of the kernel command line: root=/dev/NAME or root=LABEL=NAME (default
 * LABEL=vexlab-root), ro (default: read-write), init=PATH.
 *
 * When it gives up it says why and ends; the kernel then panics, which is what a watcher of the
 * console looks for.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROOT_WAIT_MS 20000

static void give_up(const char *format, ...)
{
	va_list args;

	fputs("initrd: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

struct options {
	char root[128];
	char init[128];
	unsigned long flags;
};

static void read_command_line(struct options *options)
{
	static char line[4096];
	FILE *file = fopen("/proc/cmdline", "r");
	char *word;

	if (!file || !fgets(line, sizeof(line), file))
		give_up("reading the kernel command line: %s", strerror(errno));
	fclose(file);
	for (word = strtok(line, " \n"); word; word = strtok(NULL, " \n")) {
		if (strncmp(word, "root=", 5) == 0)
			snprintf(options->root, sizeof(options->root), "%s", word + 5);
		else if (strncmp(word, "init=", 5) == 0)
			snprintf(options->init, sizeof(options->init), "%s", word + 5);
		else if (strcmp(word, "ro") == 0)
			options->flags |= MS_RDONLY;
		else if (strcmp(word, "rw") == 0)
			options->flags &= ~MS_RDONLY;
	}
}

/* One module a line, in the order of loading, as the image's build resolved them. */
static void load_modules(void)
{
	char path[256];
	FILE *list = fopen("/modules", "r");

	if (!list)
		give_up("no list of modules: %s", strerror(errno));
	while (fgets(path, sizeof(path), list)) {
		int file;

		path[strcspn(path, "\n")] = '\0';
		file = open(path, O_RDONLY | O_CLOEXEC);
		if (file < 0)
			give_up("%s: %s", path, strerror(errno));
		/* A processor without the instructions of an accelerated variant says ENODEV. */
		if (syscall(SYS_finit_module, file, "", 0) != 0 && errno != EEXIST && errno != ENODEV)
			give_up("%s: %s", path, strerror(errno));
		close(file);
		unlink(path);
	}
	fclose(list);
}

/* Whether DEVICE holds an ext file system with this label: superblock at 1024, label at 0x78, 16 bytes. */
static int has_label(const char *device, const char *label)
{
	unsigned char superblock[0x88];
	int file = open(device, O_RDONLY | O_CLOEXEC);
	int found;

	if (file < 0)
		return 0;
	found = pread(file, superblock, sizeof(superblock), 1024) == (ssize_t)sizeof(superblock) &&
		superblock[0x38] == 0x53 && superblock[0x39] == 0xef &&
		strncmp((const char *)superblock + 0x78, label, 16) == 0;
	close(file);
	return found;
}

/* Writes the root device's path into DEVICE; 0 when there is none yet. */
static int find_root(const char *root, char *device, size_t size)
{
	char line[256], name[64];
	struct stat status;
	FILE *partitions;
	int found = 0;

	if (strncmp(root, "LABEL=", 6) != 0) {
		snprintf(device, size, "%s", root);
		return stat(device, &status) == 0;
	}
	partitions = fopen("/proc/partitions", "r");
	while (partitions && !found && fgets(line, sizeof(line), partitions)) {
		if (sscanf(line, "%*d %*d %*d %63s", name) != 1)
			continue;
		snprintf(device, size, "/dev/%s", name);
		found = has_label(device, root + 6);
	}
	if (partitions)
		fclose(partitions);
	return found;
}

int main(void)
{
	struct options options = {
		.root = "LABEL=vexlab-root", .init = "/sbin/init", .flags = MS_NOATIME
	};
	const struct timespec pause = { .tv_nsec = 2000000 };
	char device[256] = "";
	int waited;

	mkdir("/dev", 0755);
	mkdir("/proc", 0555);
	mkdir("/root", 0755);
	if (mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755") != 0 && errno != EBUSY)
		give_up("mounting /dev: %s", strerror(errno));
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
		give_up("mounting /proc: %s", strerror(errno));

	read_command_line(&options);
	load_modules();
	for (waited = 0; !find_root(options.root, device, sizeof(device)); waited += 2) {
		if (waited >= ROOT_WAIT_MS)
			give_up("no root disk %s after %d s", options.root, ROOT_WAIT_MS / 1000);
		nanosleep(&pause, NULL);
	}
	if (mount(device, "/root", "ext4", options.flags, NULL) != 0)
		give_up("mounting %s: %s", device, strerror(errno));

	if (mount("/dev", "/root/dev", NULL, MS_MOVE, NULL) != 0)
		give_up("moving /dev: %s", strerror(errno));
	umount2("/proc", MNT_DETACH);
	unlink("/modules");
	unlink("/init");
	if (chdir("/root") != 0 || mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0)
		give_up("changing to the root disk: %s", strerror(errno));
	execl(options.init, options.init, (char *)NULL);
	give_up("%s: %s", options.init, strerror(errno));
}
