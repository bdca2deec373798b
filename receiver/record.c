/*-------------------------------------------------------------------------
 *
 * record.c
 *		One delivery as it lies in the spool:
 *
 *		4	magic, "FWR2"
 *		4	CRC-32C of the rest of the header
 *		8	tag: random bytes that only this spool has
 *		8	received_at, microseconds since 2000-01-01 00:00 UTC
 *		4	length of the webhook's name
 *		4	length of the signature, 0xFFFFFFFF: none
 *		4	length of the body
 *		4	CRC-32C of the three
 *			the three, one behind the other
 *
 * All numbers are in network byte order.
 *
 * A body is what a sender likes, so it may hold what looks like records.  Two
 * things keep those from being taken for some.  The header has a checksum of
 * its own: where only what follows it is damaged, the next record is where it
 * says.  And where the header itself is damaged, only one with the tag, which
 * no sender knows, is looked for behind it.
 *
 * Records of the form before this one ("FWR1") are read, but not found behind
 * damage, since they have neither:
 *
 *		4	magic
 *		4	CRC-32C of all that follows
 *		8, 4, 4, 4	and the three, as above
 *
 *-------------------------------------------------------------------------
 */
#include "record.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAGIC_SIZE 4
#define MAGIC_1 "FWR1"
#define HEADER_SIZE_1 28
#define NO_SIGNATURE UINT32_MAX
#define PART_LIMIT (1024 * 1024 * 1024)
#define SEARCH_BLOCK_MIN 256
#define SEARCH_BLOCK_MAX (64 * 1024)

/* What a header says. */
typedef struct Header
{
	size_t		size;			/* its own */
	bool		checked;		/* by a checksum of its own */
	uint64_t	received_at;
	size_t		name_len;
	size_t		signature_len;
	size_t		body_len;
	bool		has_signature;
	uint32_t	crc_before;		/* of what precedes the three parts */
	uint32_t	crc;			/* with them */
} Header;

static uint32_t crc_table[256];
static unsigned char own_tag[RECORD_TAG_SIZE];

/* What is written from now on has this tag. */
void
record_init(const unsigned char *tag)
{
	memcpy(own_tag, tag, RECORD_TAG_SIZE);
	for (uint32_t i = 0; i < 256; i++)
	{
		uint32_t	c = i;

		for (int bit = 0; bit < 8; bit++)
			c = (c & 1) ? (c >> 1) ^ 0x82f63b78 : c >> 1;
		crc_table[i] = c;
	}
}

static uint32_t
crc_add(uint32_t crc, const void *data, size_t len)
{
	const unsigned char *p = data;

	while (len-- > 0)
		crc = (crc >> 8) ^ crc_table[(crc ^ *p++) & 0xff];
	return crc;
}

size_t
record_size(const Delivery *delivery)
{
	return RECORD_HEADER_SIZE + strlen(delivery->webhook) + delivery->body_len +
		(delivery->signature ? strlen(delivery->signature) : 0);
}

static void
put32(unsigned char *dst, uint32_t value)
{
	value = htobe32(value);
	memcpy(dst, &value, 4);
}

static uint32_t
get32(const unsigned char *src)
{
	uint32_t	value;

	memcpy(&value, src, 4);
	return be32toh(value);
}

/* Append one record; false when not all of it was taken. */
bool
record_write(int fd, const Delivery *delivery)
{
	unsigned char header[RECORD_HEADER_SIZE];
	size_t		name_len = strlen(delivery->webhook);
	size_t		signature_len = delivery->signature ? strlen(delivery->signature) : 0;
	uint64_t	received_at = htobe64((uint64_t) delivery->received_at);
	struct iovec iov[4];
	size_t		left = record_size(delivery);
	uint32_t	crc;
	int			part = 0;

	memcpy(header, RECORD_MAGIC, MAGIC_SIZE);
	memcpy(header + 8, own_tag, RECORD_TAG_SIZE);
	memcpy(header + 16, &received_at, 8);
	put32(header + 24, (uint32_t) name_len);
	put32(header + 28, delivery->signature ? (uint32_t) signature_len : NO_SIGNATURE);
	put32(header + 32, (uint32_t) delivery->body_len);
	crc = crc_add(UINT32_MAX, delivery->webhook, name_len);
	crc = crc_add(crc, delivery->signature, signature_len);
	crc = crc_add(crc, delivery->body, delivery->body_len);
	put32(header + 36, ~crc);
	put32(header + 4, ~crc_add(UINT32_MAX, header + 8, RECORD_HEADER_SIZE - 8));

	iov[0] = (struct iovec)
	{
		header, RECORD_HEADER_SIZE
	};
	iov[1] = (struct iovec)
	{
		(void *) delivery->webhook, name_len
	};
	iov[2] = (struct iovec)
	{
		(void *) delivery->signature, signature_len
	};
	iov[3] = (struct iovec)
	{
		(void *) delivery->body, delivery->body_len
	};

	while (left > 0)
	{
		ssize_t		n = writev(fd, iov + part, 4 - part);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		left -= (size_t) n;
		while (part < 4 && (size_t) n >= iov[part].iov_len)
			n -= (ssize_t) iov[part++].iov_len;
		if (part < 4)
		{
			iov[part].iov_base = (char *) iov[part].iov_base + n;
			iov[part].iov_len -= (size_t) n;
		}
	}
	return true;
}

/* Exactly these bytes of a file; errno is 0 where it ends before. */
bool
record_bytes(int fd, void *dst, size_t len, off_t offset)
{
	size_t		done = 0;

	while (done < len)
	{
		ssize_t		n = pread(fd, (char *) dst + done, len - done,
							  offset + (off_t) done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0)
		{
			errno = 0;
			return false;
		}
		done += (size_t) n;
	}
	return true;
}

/* Whether this is a header, and whole. */
static bool
header_is_whole(const unsigned char *header)
{
	return memcmp(header, RECORD_MAGIC, MAGIC_SIZE) == 0 &&
		~crc_add(UINT32_MAX, header + 8, RECORD_HEADER_SIZE - 8) == get32(header + 4);
}

/* What a header of `len` bytes says; false: it is none. */
static bool
header_parse(const unsigned char *src, size_t len, Header *header)
{
	const unsigned char *p;		/* where both forms are the same */

	if (len >= RECORD_HEADER_SIZE && header_is_whole(src))
	{
		header->size = RECORD_HEADER_SIZE;
		header->checked = true;
		header->crc_before = UINT32_MAX;
		header->crc = get32(src + 36);
		p = src + 16;
	}
	else if (len >= HEADER_SIZE_1 && memcmp(src, MAGIC_1, MAGIC_SIZE) == 0)
	{
		header->size = HEADER_SIZE_1;
		header->checked = false;
		header->crc_before = crc_add(UINT32_MAX, src + 8, HEADER_SIZE_1 - 8);
		header->crc = get32(src + 4);
		p = src + 8;
	}
	else
		return false;
	memcpy(&header->received_at, p, 8);
	header->received_at = be64toh(header->received_at);
	header->name_len = get32(p + 8);
	header->has_signature = get32(p + 12) != NO_SIGNATURE;
	header->signature_len = header->has_signature ? get32(p + 12) : 0;
	header->body_len = get32(p + 16);
	return header->name_len > 0 && header->name_len <= PART_LIMIT &&
		header->signature_len <= PART_LIMIT && header->body_len <= PART_LIMIT;
}

/* Make room for a NUL behind each part, the last one first. */
static void
parts_split(const Header *header, char *parts, Delivery *delivery)
{
	char	   *signature = parts + header->name_len + 1;
	char	   *body = signature + header->signature_len + 1;

	memmove(body, parts + header->name_len + header->signature_len, header->body_len);
	body[header->body_len] = '\0';
	memmove(signature, parts + header->name_len, header->signature_len);
	signature[header->signature_len] = '\0';
	parts[header->name_len] = '\0';

	delivery->webhook = parts;
	delivery->signature = header->has_signature ? signature : NULL;
	delivery->body = body;
	delivery->body_len = header->body_len;
	delivery->received_at = (int64_t) header->received_at;
}

/*
 * Read the record at the offset.  On RECORD_READ the caller frees
 * record->parts.  Of a damaged one record->end is where the next one is, where
 * that is certain, else 0.
 */
ReadResult
record_read(int fd, off_t offset, off_t size, Record *record)
{
	unsigned char bytes[RECORD_HEADER_SIZE];
	size_t		len = sizeof(bytes);
	Header		header;
	size_t		total;
	off_t		end;

	memset(record, 0, sizeof(*record));
	record->offset = offset;
	if (offset >= size)
		return RECORD_END;
	if (size - offset < HEADER_SIZE_1)
		return RECORD_TORN;
	if (size - offset < (off_t) len)
		len = (size_t) (size - offset);
	if (!record_bytes(fd, bytes, len, offset))
		return errno ? RECORD_FAILED : RECORD_TORN;
	if (!header_parse(bytes, len, &header))
		return len < RECORD_HEADER_SIZE && memcmp(bytes, RECORD_MAGIC, MAGIC_SIZE) == 0 ?
			RECORD_TORN : RECORD_DAMAGED;

	total = header.name_len + header.signature_len + header.body_len;
	if (total > (uint64_t) (size - offset) - header.size)
		return RECORD_TORN;
	end = offset + (off_t) (header.size + total);
	record->parts = malloc(total + 3);
	if (record->parts == NULL)
		return RECORD_FAILED;
	if (!record_bytes(fd, record->parts, total, offset + (off_t) header.size))
	{
		free(record->parts);
		return errno ? RECORD_FAILED : RECORD_TORN;
	}
	if (~crc_add(header.crc_before, record->parts, total) != header.crc)
	{
		free(record->parts);
		record->end = header.checked ? end : 0;
		return end == size ? RECORD_TORN : RECORD_DAMAGED;
	}
	if (header.checked)
		memcpy(record->tag, bytes + 8, RECORD_TAG_SIZE);
	record->has_tag = header.checked;
	parts_split(&header, record->parts, &record->delivery);
	record->end = end;
	return RECORD_READ;
}

/*
 * Where the first header with the tag is at or behind the offset; `size` if
 * there is none.  Each byte is read about once, whatever it is, and not many
 * behind what is found.
 */
static off_t
record_search(int fd, off_t offset, off_t size, const unsigned char *tag)
{
	unsigned char block[SEARCH_BLOCK_MAX];
	off_t		want = SEARCH_BLOCK_MIN;

	while (size - offset >= RECORD_HEADER_SIZE)
	{
		size_t		len = (size_t) (size - offset < want ? size - offset : want);
		size_t		starts = len - RECORD_HEADER_SIZE + 1;
		const unsigned char *p = block;

		if (!record_bytes(fd, block, len, offset))
			break;
		while ((p = memmem(p, (size_t) (block + starts - p) + MAGIC_SIZE - 1,
						   RECORD_MAGIC, MAGIC_SIZE)) != NULL)
		{
			if (memcmp(p + 8, tag, RECORD_TAG_SIZE) == 0 && header_is_whole(p))
				return offset + (p - block);
			p++;
		}
		offset += (off_t) starts;
		if (want < SEARCH_BLOCK_MAX)
			want *= 2;
	}
	return size;
}

/*
 * Read the first good record at or behind the offset.  `tag` is that of this
 * file's records, as far as it is known, and becomes that of the one that was
 * read.  *at_offset is what there was at the offset itself.
 */
ReadResult
record_find(int fd, off_t offset, off_t size, unsigned char *tag, Record *record,
			ReadResult *at_offset)
{
	ReadResult	result = record_read(fd, offset, size, record);

	*at_offset = result;
	while (result == RECORD_TORN || result == RECORD_DAMAGED)
	{
		offset = record->end > offset ? record->end :
			record_search(fd, offset + 1, size, tag);
		result = record_read(fd, offset, size, record);
	}
	if (result == RECORD_READ && record->has_tag)
		memcpy(tag, record->tag, RECORD_TAG_SIZE);
	return result;
}
