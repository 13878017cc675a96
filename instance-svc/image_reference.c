/* SPDX-License-Identifier: Apache-2.0 */
#include "image_reference.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "image_digest.h"

#define LOWER	     "abcdefghijklmnopqrstuvwxyz"
#define UPPER	     "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS	     "0123456789"
#define DEFAULT_HOST "docker.io"

/* Parts of the text under test, cut in place. */
struct parts {
	char *host; /* NULL: none given */
	char *path;
	char *tag;    /* NULL: none given */
	char *digest; /* NULL: none given */
};

/* What the first component is, Docker decides by how it looks. */
static bool is_host(const char *component)
{
	return strpbrk(component, ".:") || strcmp(component, "localhost") == 0;
}

static void split(char *text, struct parts *ret)
{
	char *slash, *colon;

	*ret = (struct parts){ .path = text };
	ret->digest = strchr(text, '@');
	if (ret->digest)
		*ret->digest++ = '\0';
	slash = strrchr(text, '/');
	colon = strchr(slash ? slash : text, ':');
	if (colon) {
		*colon = '\0';
		ret->tag = colon + 1;
	}
	slash = strchr(text, '/');
	if (!slash)
		return;
	*slash = '\0';
	if (is_host(text)) {
		ret->host = text;
		ret->path = slash + 1;
	} else {
		*slash = '/';
	}
}

/* Letters and digits in groups joined by one of "." "-" and, between hosts' labels, no more. */
static bool host_is_valid(const char *host)
{
	size_t name = strspn(host, LOWER UPPER DIGITS ".-");
	const char *port = host + name;

	if (name == 0 || strstr(host, "..") || strstr(host, ".-") || strstr(host, "-.") ||
	    strchr(".-", host[0]) || strchr(".-", host[name - 1]))
		return false;
	if (*port == '\0')
		return true;
	return *port == ':' && port[1] != '\0' && strlen(port + 1) <= 5 &&
	       strspn(port + 1, DIGITS) == strlen(port + 1) && atoi(port + 1) <= 65535;
}

/* [a-z0-9]+ joined by ".", "_", "__" or any number of "-". Returns what follows, or NULL. */
static const char *component_end(const char *at)
{
	for (;;) {
		size_t word = strspn(at, LOWER DIGITS), joint;

		if (word == 0)
			return NULL;
		at += word;
		joint = strspn(at, "._-");
		if (joint == 0)
			return at;
		if (!(joint == 1 || (joint == 2 && strncmp(at, "__", 2) == 0) ||
		      strspn(at, "-") == joint))
			return NULL;
		at += joint;
	}
}

static bool path_is_valid(const char *path)
{
	const char *end = component_end(path);

	while (end && *end == '/')
		end = component_end(end + 1);
	return end && *end == '\0';
}

static bool tag_is_valid(const char *tag)
{
	size_t length = strlen(tag);

	return length >= 1 && length <= 128 && !strchr(".-", tag[0]) &&
	       strspn(tag, LOWER UPPER DIGITS "_.-") == length;
}

static const char *problem_of(const struct parts *parts)
{
	if (parts->host && !host_is_valid(parts->host))
		return "the registry is not of the form host or host:port";
	if (!path_is_valid(parts->path))
		return "a repository is lower case letters and digits, joined by '.', '_', '__' or '-', in parts joined by '/'";
	if (parts->tag && !tag_is_valid(parts->tag))
		return "a tag is 1 to 128 letters, digits, '_', '.' and '-', beginning with none of the last two";
	if (parts->digest && !image_digest_is_valid(parts->digest))
		return "a digest is 'sha256:' and 64 lower case hexadecimal digits";
	return NULL;
}

/* Whether it all fits IMAGE_REFERENCE_MAX. */
static bool compose(const struct parts *parts, struct image_reference *ret)
{
	const char *host = parts->host ? parts->host : DEFAULT_HOST;
	const char *tag = parts->digest ? "" : parts->tag ? parts->tag : "latest";
	bool official;
	int length;

	if (strcmp(host, "index.docker.io") == 0)
		host = DEFAULT_HOST;
	official = strcmp(host, DEFAULT_HOST) == 0 && !strchr(parts->path, '/');
	length = snprintf(ret->repository, sizeof(ret->repository), "%s/%s%s", host,
			  official ? "library/" : "", parts->path);
	snprintf(ret->tag, sizeof(ret->tag), "%s", tag);
	snprintf(ret->digest, sizeof(ret->digest), "%s", parts->digest ? parts->digest : "");
	return (size_t)length + 1 + strlen(ret->tag) + strlen(ret->digest) <= IMAGE_REFERENCE_MAX;
}

int image_reference_parse(const char *text, const char *field, struct image_reference *ret,
			  struct err *err)
{
	char copy[IMAGE_REFERENCE_MAX + 1];
	struct image_reference reference = { 0 };
	const char *problem;
	struct parts parts;

	if (text[0] == '\0')
		return err_field(err, field, "an image is required, for example 'debian:12'");
	if (strlen(text) > IMAGE_REFERENCE_MAX)
		return err_field(err, field, "an image reference has at most %d characters",
				 IMAGE_REFERENCE_MAX);
	if (strstr(text, "://"))
		return err_field(err, field,
				 "image '%s': write it without a scheme, for example 'debian:12'",
				 text);
	snprintf(copy, sizeof(copy), "%s", text);
	split(copy, &parts);
	problem = problem_of(&parts);
	if (problem)
		return err_field(err, field, "image '%s': %s", text, problem);
	if (!compose(&parts, &reference))
		return err_field(err, field, "image '%s': longer than %d characters when completed",
				 text, IMAGE_REFERENCE_MAX);
	*ret = reference;
	return 0;
}

struct image_reference_text image_reference_text(const struct image_reference *reference)
{
	struct image_reference_text text;
	bool by_digest = reference->digest[0] != '\0';

	snprintf(text.s, sizeof(text.s), "%s%s%s", reference->repository, by_digest ? "@" : ":",
		 by_digest ? reference->digest : reference->tag);
	return text;
}

int image_reference_normalize(const char *text, const char *field, char **ret, struct err *err)
{
	struct image_reference reference;
	char *copy;

	if (image_reference_parse(text, field, &reference, err) < 0)
		return -1;
	copy = strdup(IMAGE_REFERENCE_STR(&reference));
	if (!copy)
		return err_sys(err, -ENOMEM, "cannot take image '%s'", text);
	*ret = copy;
	return 0;
}
