/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct err on the wire: a gRPC status, and in the trailer grpc-status-details-bin a
 * google.rpc.Status with
 *   ErrorInfo{reason: a word of reasons.def, domain: "hypeman", metadata.field}
 *   PreconditionFailure{violations: the err's details}, when there are any.
 */

#ifndef COMMON_RPC_STATUS_H
#define COMMON_RPC_STATUS_H

#include "common/err.h"
#include "core.h"

#define STATUS_DETAILS_KEY "grpc-status-details-bin"

/*
 * The serialized google.rpc.Status. Stock clients accept 8 KiB of trailers, so details
 * are left out from the end until what remains fits.
 */
grpc_slice status_details_pack(const struct err *err);

/*
 * The err that a peer sent, or one for a status that has no details of ours. Returns
 * false, with *err untouched, in the latter case.
 */
bool status_details_unpack(int code, const uint8_t *details, size_t size, struct err *err);

/*
 * What a call that failed with this status tells its caller. False when the peer sent no
 * details of ours: the status may have been made by gRPC, on either side.
 */
bool status_to_err(grpc_status_code code, grpc_slice text, const grpc_metadata_array *trailers,
		   struct err *err);

#endif
