/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locals that release what they own when they go out of scope, and the two moves
 * out of them. Every release function takes NULL (or -1).
 */

#ifndef COMMON_SCOPED_H
#define COMMON_SCOPED_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SCOPED_DEFINE(type, release)                                                               \
	static inline void release##_scoped(type *p)                                               \
	{                                                                                          \
		release(*p);                                                                       \
	}                                                                                          \
	struct scoped_needs_semicolon

/* scoped(image_free) struct image *image = NULL; after SCOPED_DEFINE(struct image *, image_free);
 */
#define scoped(release) __attribute__((cleanup(release##_scoped)))

static inline void scoped_free_release(void *p)
{
	free(*(void **)p);
}
#define scoped_free __attribute__((cleanup(scoped_free_release)))

static inline void scoped_fd_release(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define scoped_fd __attribute__((cleanup(scoped_fd_release)))

static inline void scoped_file_release(FILE **file)
{
	if (*file)
		fclose(*file);
}
#define scoped_file __attribute__((cleanup(scoped_file_release)))

static inline void scoped_dir_release(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}
#define scoped_dir __attribute__((cleanup(scoped_dir_release)))

#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		__typeof__(p) taken_ = (p);                                                        \
		(p) = NULL;                                                                        \
		taken_;                                                                            \
	})

#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int taken_ = (fd);                                                                 \
		(fd) = -1;                                                                         \
		taken_;                                                                            \
	})

#endif
