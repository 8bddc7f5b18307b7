/* SPDX-License-Identifier: MIT */
/* network - what kind of network namespace this is. */
#include "network.h"

#include "process.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char folder[] = "/sys/class/net";

/* A link to its device, or the folder of a bridge: sysfs-class-net. */
static bool is_of_a_node(const char *interface)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s/device", folder, interface);
	if (access(path, F_OK) == 0)
		return true;
	snprintf(path, sizeof(path), "%s/%s/bridge", folder, interface);
	return access(path, F_OK) == 0;
}

bool network_is_of_a_node(char *out, size_t size)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !is_of_a_node(entry->d_name))
			continue;
		snprintf(out, size, "%s", entry->d_name);
		found = true;
	}
	if (dir)
		closedir(dir);
	return found;
}

int network_is_of(pid_t pid)
{
	char path[PROCESS_PATH_MAX];
	struct stat ours, theirs;

	if (stat("/proc/self/ns/net", &ours) < 0)
		return -errno;
	if (stat(process_path(pid, "ns/net", path), &theirs) < 0)
		return errno == ENOENT ? -ESRCH : errno == EACCES || errno == EPERM ? 0 : -errno;
	return ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev;
}
