/*-------------------------------------------------------------------------
 *
 * src/ingest/direct.h
 *	  Rows into the extension's own tables without a statement: interface of
 *	  direct.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DIRECT_H
#define DIRECT_H

#include "src/decode/row.h"

/* What an INSERT of a delivery came to. */
typedef enum FswDirectResult
{
	FSW_DIRECT_IMPOSSIBLE,		/* nothing was done: run the statement */
	FSW_DIRECT_INSERTED,
	FSW_DIRECT_CONFLICT			/* one of its key is there */
} FswDirectResult;

/* The columns of flagsmith.delivery that are given, in order; its id is not. */
#define FSW_DELIVERY_STORED_COLUMNS(X, T) \
	X(T, webhook, TEXTOID) \
	X(T, source, TEXTOID) \
	X(T, received_at, TIMESTAMPTZOID) \
	X(T, stored_at, TIMESTAMPTZOID) \
	X(T, signature, TEXTOID) \
	X(T, secret_id, INT8OID) \
	X(T, event_type, TEXTOID) \
	X(T, event_at, TIMESTAMPTZOID) \
	X(T, digest, BYTEAOID) \
	X(T, body, BYTEAOID) \
	X(T, undecoded_reason, TEXTOID)

enum
{
	FSW_DELIVERY_STORED_COLUMNS(FSW_COLUMN_ENUM, STORED) STORED_COUNT
};

extern bool fsw_insert_direct(const FswTable *table, const Datum *values, const bool *nulls);
extern FswDirectResult fsw_insert_delivery_direct(const Datum *values, const bool *nulls, int64 *id);

#endif							/* DIRECT_H */
