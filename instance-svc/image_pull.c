/* SPDX-License-Identifier: Apache-2.0 */
#include "image_pull.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image_check.h"
#include "image_failure.h"
#include "image_json.h"
#include "image_kernel.h"
#include "image_manifest.h"
#include "image_meter.h"
#include "image_oci.h"
#include "image_publish.h"
#include "image_work.h"
#include "strv.h"

#define RESOLVE_LIMIT_MS (60 * 1000)
#define STEP_LIMIT_MS	 (60 * 60 * 1000) /* a big image on a slow line */

/* Runs one tool; `step` is the beginning of the sentence when it fails. */
static int run_step(const struct image_work *work, struct image_jail_run run, const char *step,
		    const char *reference, struct process_text *ret_out, struct err *err)
{
	struct process_result result;

	if (image_work_run(work, &run, &result, err) < 0)
		return err_prefix(err, "cannot %s image '%s'", step, reference);
	if (result.status != 0) {
		struct image_failure failure = image_failure_read(result.err.text);
		int status = result.status;

		process_result_done(&result);
		return err_set(err, failure.reason, "cannot %s image '%s': %s", step, reference,
			       failure.text[0] != '\0' ? failure.text : PROCESS_STATUS_STR(status));
	}
	if (ret_out) {
		*ret_out = result.out;
		result.out.text = NULL;
	}
	process_result_done(&result);
	return 0;
}

/* "skopeo <the options' flags> verb"; the auth file's flag belongs after the verb. */
static int skopeo_begin(const struct image_store_options *options, const char *verb, char ***ret)
{
	int r = strv_append(ret, "skopeo");

	if (r == 0 && options->policy_json)
		r = strv_append(ret, "--policy=" IMAGE_JAIL_POLICY);
	else if (r == 0)
		r = strv_append(ret, "--insecure-policy");
	if (r == 0 && options->registries_conf)
		r = strv_append(ret, "--registries-conf=" IMAGE_JAIL_REGISTRIES);
	if (r == 0)
		r = strv_append(ret, "--tmpdir=/work");
	if (r == 0)
		r = strv_append(ret, "--override-os=" IMAGE_OCI_OS);
	if (r == 0)
		r = strv_appendf(ret, "--override-arch=%s", image_oci_architecture());
	if (r == 0)
		r = strv_append(ret, verb);
	if (r == 0 && options->auth_file)
		r = strv_append(ret, "--authfile=" IMAGE_JAIL_AUTH);
	return r;
}

static int ask_registry(const struct image_pull *pull, const struct image_work *work,
			const char *reference, struct process_text *ret, struct err *err)
{
	scoped(strv_free) char **argv = NULL;
	int r;

	r = skopeo_begin(pull->options, "inspect", &argv);
	if (r == 0)
		r = strv_append(&argv, "--raw");
	if (r == 0)
		r = strv_appendf(&argv, "docker://%s", reference);
	if (r < 0)
		return err_sys(err, r, "cannot find image '%s'", reference);
	return run_step(work,
			(struct image_jail_run){ .jail = IMAGE_JAIL_DOWNLOAD,
						 .argv = (const char *const *)argv,
						 .options = pull->options,
						 .cancelled = pull->cancelled,
						 .timeout_ms = RESOLVE_LIMIT_MS,
						 .out_bytes = IMAGE_JSON_BYTES_MAX },
			"find", reference, ret, err);
}

int image_pull_resolve(const struct image_pull *pull, const struct image_reference *reference,
		       struct image_digest *ret, struct err *err)
{
	const struct image_reference_text text = image_reference_text(reference);
	struct process_text manifest = { 0 };
	struct image_work work;
	int r;

	if (image_work_open(pull->work_folder, &work, err) < 0)
		return err_prefix(err, "cannot find image '%s'", text.s);
	r = ask_registry(pull, &work, text.s, &manifest, err);
	image_work_close(&work, pull->options);
	if (r < 0)
		return -1;
	r = image_manifest_select(manifest.text, manifest.length, ret, err);
	if (r == 0 && reference->digest[0] != '\0' &&
	    strcmp(image_digest_of(manifest.text, manifest.length).s, reference->digest) != 0)
		r = err_set(err, ERR_FAILED_PRECONDITION,
			    "digest mismatch: the registry sent other bytes");
	free(manifest.text);
	return r < 0 ? err_prefix(err, "cannot use image '%s'", text.s) : 0;
}

/* Making the disk. */

struct making {
	const struct image_pull *pull;
	const char *reference; /* as the caller knows it */
	struct image_work work;
	struct image_meter meter;
};

static int run_owners(struct making *making, const char *step, const char *const *argv,
		      struct err *err)
{
	return run_step(&making->work,
			(struct image_jail_run){ .jail = IMAGE_JAIL_OWNERS,
						 .argv = argv,
						 .options = making->pull->options,
						 .cancelled = making->pull->cancelled,
						 .timeout_ms = STEP_LIMIT_MS,
						 .look = image_meter_look,
						 .look_user = &making->meter },
			step, making->reference, NULL, err);
}

/* By digest, so that skopeo checks every byte against what was resolved. */
static int download(struct making *making, const char *repository, const char *digest,
		    struct err *err)
{
	scoped(strv_free) char **argv = NULL;
	int r;

	r = skopeo_begin(making->pull->options, "copy", &argv);
	if (r == 0)
		r = strv_append(&argv, "--quiet");
	if (r == 0)
		r = strv_appendf(&argv, "docker://%s@%s", repository, digest);
	if (r == 0)
		r = strv_append(&argv, "oci:/work/oci:image");
	if (r < 0)
		return err_sys(err, r, "cannot download image '%s'", making->reference);
	return run_step(&making->work,
			(struct image_jail_run){ .jail = IMAGE_JAIL_DOWNLOAD,
						 .argv = (const char *const *)argv,
						 .options = making->pull->options,
						 .cancelled = making->pull->cancelled,
						 .timeout_ms = STEP_LIMIT_MS,
						 .look = image_meter_look,
						 .look_user = &making->meter },
			"download", making->reference, NULL, err);
}

/* What the registry says of its layers: too much is refused before a byte of them comes. */
static int weigh(struct making *making, const char *repository, const char *digest, struct err *err)
{
	scoped_free char *named = NULL;
	struct process_text manifest = { 0 };
	struct image_layers layers = { 0 };
	int r;

	if (asprintf(&named, "%s@%s", repository, digest) < 0) {
		named = NULL;
		return err_sys(err, ENOMEM, "cannot find image '%s'", making->reference);
	}
	r = ask_registry(making->pull, &making->work, named, &manifest, err);
	if (r < 0)
		return -1;
	if (strcmp(image_digest_of(manifest.text, manifest.length).s, digest) != 0)
		r = err_set(err, ERR_FAILED_PRECONDITION,
			    "digest mismatch: the registry sent other bytes");
	if (r == 0)
		r = image_manifest_read_layers(manifest.text, manifest.length, &layers, err);
	if (r == 0)
		r = image_meter_begin(&making->meter, &layers, making->pull->options->unpacked_max,
				      err);
	free(manifest.text);
	image_layers_done(&layers);
	return r < 0 ? err_prefix(err, "cannot use image '%s'", making->reference) : 0;
}

/* Before anything of the image is unpacked: what cannot be used ends it here. */
static int look_at(struct making *making, struct image_manifest *ret, struct err *err)
{
	scoped_free char *layout = NULL;
	scoped(image_free) struct image *image = calloc(1, sizeof(*image));
	uint64_t bytes = 0;
	int r;

	if (!image || asprintf(&layout, "%s/oci", making->work.path) < 0) {
		layout = NULL;
		return err_sys(err, -ENOMEM, "cannot use image '%s'", making->reference);
	}
	r = image_manifest_load(layout, ret, err);
	if (r == 0)
		r = image_oci_read_config(ret->config, ret->config_length, image, err);
	if (r == 0)
		r = image_check_layers(&making->work, &ret->layers,
				       making->pull->options->unpacked_max, making->pull->cancelled,
				       &bytes, err);
	if (r == 0)
		r = image_meter_unpack(&making->meter, bytes, err);
	return r < 0 ? err_prefix(err, "cannot use image '%s'", making->reference) : 0;
}

/* An image is as good without a kernel, or with one that cannot be booted. */
static int take_kernel(struct making *making, struct err *err)
{
	const struct image_store_options *options = making->pull->options;

	if (!options->guest_tools)
		return 0;
	if (image_kernel_take(&making->work, options, making->pull->cancelled, err) < 0)
		return err_prefix(err, "cannot take the kernel of image '%s'", making->reference);
	return 0;
}

static int publish(const struct making *making, const char *digest,
		   const struct image_manifest *manifest, struct err *err)
{
	int r = image_publish(&making->work, making->pull->disks_folder, digest, manifest->config,
			      manifest->config_length);

	return r < 0 ? err_sys(err, r, "cannot keep the disk of image '%s'", making->reference) : 0;
}

static int make(struct making *making, const char *repository, const char *digest,
		struct image_manifest *manifest, struct err *err)
{
	static const char *const unpack[] = {
		"umoci", "raw", "unpack", "--image", "/work/oci:image", "/work/rootfs", NULL
	};
	/* lz4: two thirds of the size, and faster to make than without, since less is written. */
	static const char *const mkfs[] = { "mkfs.erofs",	"--quiet",	"-zlz4",
					    "/work/disk.erofs", "/work/rootfs", NULL };

	if (weigh(making, repository, digest, err) < 0 ||
	    download(making, repository, digest, err) < 0 || look_at(making, manifest, err) < 0 ||
	    run_owners(making, "unpack", unpack, err) < 0 || take_kernel(making, err) < 0 ||
	    run_owners(making, "make the disk of", mkfs, err) < 0)
		return -1;
	return publish(making, digest, manifest, err);
}

int image_pull_make(const struct image_pull *pull, const struct image_reference *reference,
		    const struct image_digest *digest, struct err *err)
{
	const struct image_reference_text text = image_reference_text(reference);
	struct making making = { .pull = pull, .reference = text.s };
	struct image_manifest manifest = { 0 };
	int r;

	if (image_work_open(pull->work_folder, &making.work, err) < 0)
		return err_prefix(err, "cannot pull image '%s'", text.s);
	image_meter_init(&making.meter, making.work.path, pull->progress, pull->progress_user);
	r = make(&making, reference->repository, digest->s, &manifest, err);
	image_manifest_done(&manifest);
	image_work_close(&making.work, pull->options);
	return r;
}
