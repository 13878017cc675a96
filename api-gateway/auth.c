/* SPDX-License-Identifier: Apache-2.0 */
#include "auth.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_BYTES_MAX 4096

struct auth {
	const char *file; /* borrowed */
	pthread_rwlock_t lock;
	uint8_t *secret; /* owned */
	size_t length;
};

static int check_file(int fd, const char *file, struct err *err)
{
	struct stat status;

	if (fstat(fd, &status))
		return err_sys(err, errno, "cannot look at %s", file);
	if (!S_ISREG(status.st_mode) || (status.st_uid != 0 && status.st_uid != geteuid()) ||
	    (status.st_mode & (S_IWGRP | S_IRWXO)))
		return err_field(err, "jwt-secret-file",
				 "%s must be a file of root, written by nobody else and closed to "
				 "others: chown root:hypeman-api %s; chmod 0640 %s",
				 file, file, file);
	return 0;
}

static int read_secret(int fd, const char *file, uint8_t **ret, size_t *ret_length, struct err *err)
{
	scoped_free uint8_t *bytes =
		malloc(SECRET_BYTES_MAX + 2); /* a line break, and one too many */
	size_t length = 0;
	ssize_t got = 1;

	if (!bytes)
		return err_sys(err, ENOMEM, "cannot read %s", file);
	while (got > 0 && length < SECRET_BYTES_MAX + 2) {
		got = read(fd, bytes + length, SECRET_BYTES_MAX + 2 - length);
		if (got < 0)
			return err_sys(err, errno, "cannot read %s", file);
		length += (size_t)got;
	}
	if (length > 0 && bytes[length - 1] == '\n')
		length--;
	if (length < TOKEN_KEY_BYTES_MIN || length > SECRET_BYTES_MAX)
		return err_field(
			err, "jwt-secret-file",
			"%s must hold a secret of %d to %d bytes: head -c 32 /dev/urandom | "
			"base64",
			file, TOKEN_KEY_BYTES_MIN, SECRET_BYTES_MAX);
	*ret = TAKE_PTR(bytes);
	*ret_length = length;
	return 0;
}

static void forget(uint8_t *secret, size_t length)
{
	if (secret)
		explicit_bzero(secret, length);
	free(secret);
}

int auth_reload(struct auth *auth, struct err *err)
{
	scoped_fd int fd = open(auth->file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	uint8_t *secret = NULL, *before;
	size_t length = 0, length_before;

	if (fd < 0)
		return err_sys(err, errno, "cannot open %s", auth->file);
	if (check_file(fd, auth->file, err) || read_secret(fd, auth->file, &secret, &length, err))
		return -1;
	pthread_rwlock_wrlock(&auth->lock);
	before = auth->secret;
	length_before = auth->length;
	auth->secret = secret;
	auth->length = length;
	pthread_rwlock_unlock(&auth->lock);
	forget(before, length_before);
	return 0;
}

struct auth *auth_new(const char *secret_file, struct err *err)
{
	scoped(auth_free) struct auth *auth = calloc(1, sizeof(*auth));

	if (!auth) {
		err_sys(err, ENOMEM, "cannot start");
		return NULL;
	}
	auth->file = secret_file;
	pthread_rwlock_init(&auth->lock, NULL);
	return auth_reload(auth, err) ? NULL : TAKE_PTR(auth);
}

void auth_free(struct auth *auth)
{
	if (!auth)
		return;
	forget(auth->secret, auth->length);
	pthread_rwlock_destroy(&auth->lock);
	free(auth);
}

int auth_check(struct auth *auth, const struct request *request, const char *scope,
	       struct token_subject *ret, struct err *err)
{
	const char *header = request_header(request, "Authorization");
	int r;

	if (!header || request_count_header(request, "Authorization") != 1 ||
	    strncasecmp(header, "Bearer ", 7) != 0)
		return err_set(err, ERR_UNAUTHENTICATED,
			       "the request needs one header 'Authorization: Bearer TOKEN'");
	header += 7 + strspn(header + 7, " ");
	pthread_rwlock_rdlock(&auth->lock);
	r = token_check(header, auth->secret, auth->length, time(NULL), scope, ret, err);
	pthread_rwlock_unlock(&auth->lock);
	return r;
}
