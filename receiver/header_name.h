/*-------------------------------------------------------------------------
 *
 * header_name.h
 *		Names of headers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_HEADER_NAME_H
#define RECEIVER_HEADER_NAME_H

#include <stdbool.h>
#include <stddef.h>

#define SIGNATURE_HEADER "X-Flagsmith-Signature"

extern bool is_token(const char *s, size_t len);
extern bool header_may_be_logged(const char *name);

#endif							/* RECEIVER_HEADER_NAME_H */
