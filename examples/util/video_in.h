/* video_in.h - frames of a video, a picture or a folder of pictures as packed 8-bit sRGB, through FFmpeg's libraries (5.1 to 8).
   Link with libavformat, libavcodec, libavutil, libswscale.

   Open, read until it returns 0 or -1, close. YUV becomes RGB in yuv.h's integers and frames are repeated or dropped by time stamp only, so the
   frames depend on the file alone: not on threads, processor or swscale. swscale does what it is for: pixel formats that are neither YUV nor
   8 to 16-bit RGB (palettes, Bayer, 565), samples that are not square and frames that change size under way, in its bit-exact mode.
   Transparent parts are shown on white. High dynamic range is passed on as it is (see colour_transfer). FFmpeg's own messages are switched off. */
#ifndef MOSAIC_UTIL_VIDEO_IN_H
#define MOSAIC_UTIL_VIDEO_IN_H

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/mathematics.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

#include "exif.h"
#include "yuv.h"

#if defined(__GNUC__)
#define VIDEO_IN__FN __attribute__((unused)) static
#define VIDEO_IN__PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define VIDEO_IN__FN static
#define VIDEO_IN__PRINTF(text, first)
#endif

#define VIDEO_IN__SWS (SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INT)

typedef struct video_in video_in;

typedef struct video_in_info {
    int width, height; /* displayed size: after rotation metadata and sample aspect ratio (square pixels; the wider way: never throws pixels away) */
    int fps_num, fps_den; /* constant output rate: avg_frame_rate, else r_frame_rate; 25/1 for pictures and folders */
    long long frames;     /* estimate, 0 when unknown */
    int is_still;         /* one picture */
    int colour_matrix, colour_range, colour_primaries, colour_transfer; /* AVCOL_* of the source, unspecified resolved (HD: bt709, else smpte170m).
                                   A source of RGB samples says so: AVCOL_SPC_RGB, AVCOL_RANGE_JPEG; a writer of YUV then chooses by itself */
    const char *decoder;                                                /* name */
    double start_time; /* seconds: where the first frame to be read stands on the file's own clock (sound is aligned with this) */
} video_in_info;

typedef struct video_in_options {
    int threads;          /* of the decoder where frames do not depend on each other (ProRes, FFV1, pictures ...), else it has one; 0 = automatic */
    int fps_num, fps_den; /* force a constant output rate (0: the source's): frames are repeated or dropped by time stamp, never blended */
    double start;         /* seconds to skip */
    long long count;      /* most frames to return, 0 = all */
    int default_matrix;   /* AVCOL_SPC_* for files that name none (0: by size, HD bt709, else smpte170m) */
    int keep_aspect;      /* 1: samples stay as they are stored, square or not */
    const char
        *device; /* FFmpeg's name for a kind of device (v4l2), whose name is then the path; the caller calls avdevice_register_all. NULL: a file */
} video_in_options;

/* Opens; on failure returns NULL and writes one line (the thing and the remedy) into err. options and info may be NULL. */
static video_in *video_in_open(const char *path, const video_in_options *options, video_in_info *info, char *err, size_t err_size);
/* Next frame into rgb (width*height*3 bytes, packed). 1 = a frame, 0 = end, -1 = the stream is damaged or truncated from here on (err says so; frames
   returned so far are good). Of a damaged stream all that can be decoded comes first, with the frame before repeated where time stamps show a gap,
   and -1 takes the place of the end. In a folder a picture that cannot be read is replaced by the one before it and named at the end. */
static int video_in_read(video_in *in, unsigned char *rgb, char *err, size_t err_size);
static void video_in_close(video_in *in);

/* ---------------------------------------------------------------------------------------------------------------------------------- */

struct video_in {
    char *path;
    video_in_info info;
    video_in_options options;
    long long slot;  /* number of the next output frame, counted at the output rate from the first frame of the file */
    long long given; /* frames returned */

    /* a file */
    AVFormatContext *format;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *shown, *ahead; /* the frame of the current slot, and the one decoded after it */
    int has_shown, has_ahead;
    int stream;
    long long first_pts, ahead_pts, last_end; /* time stamps in the stream's time base; last_end: of the last decoded frame */
    AVRational rate;                          /* the source's own */
    long long frame_ticks;                    /* one source frame in the stream's time base, at least 1 */
    long long last_dts, last_pts;
    double other_end;      /* seconds: the latest end of any packet of any stream */
    long long clock_shift; /* added to time stamps after a splice */
    int draining, decoded_any, has_clock;
    int read_error; /* AVERROR of the demuxer other than the end, 0 if none */
    int trouble;    /* the decoder complained, if only before the first frame (a recording that begins in the middle) */
    int damaged;    /* ... or after that */
    exif_turn turn;
    int first_width, first_height;   /* stored size of the first frame: later sizes are scaled to it */
    int square_width, square_height; /* the same with square pixels */
    unsigned char *stored, *square;  /* RGB before and after scaling; only when needed */
    unsigned char *rgba;             /* frames of formats that swscale has to unpack */
    size_t rgba_size;
    struct SwsContext *convert, *scale;
    int scale_width, scale_height;

    /* a folder */
    char **names;
    int name_count, name_next, unreadable;
    char *first_unreadable;
};

VIDEO_IN__FN VIDEO_IN__PRINTF(3, 4) void video_in__say(char *err, size_t err_size, const char *format, ...)
{
    va_list args;
    if (!err || !err_size) return;
    va_start(args, format);
    vsnprintf(err, err_size, format, args);
    va_end(args);
}

VIDEO_IN__FN char *video_in__copy(const char *a, const char *b, const char *c)
{
    const size_t la = strlen(a), lb = strlen(b), lc = strlen(c);
    char *s = (char *)malloc(la + lb + lc + 1);
    if (!s) return NULL;
    memcpy(s, a, la);
    memcpy(s + la, b, lb);
    memcpy(s + la + lb, c, lc + 1);
    return s;
}

/* ---- colour ---- */

VIDEO_IN__FN int video_in__is_hd(int width, int height) { return width >= 1280 || height > 576; }

VIDEO_IN__FN int video_in__matrix(const video_in *in, int space)
{
    if (space == AVCOL_SPC_UNSPECIFIED || space == AVCOL_SPC_RGB) space = in->options.default_matrix;
    switch (space) {
    case AVCOL_SPC_BT709: return YUV_BT709;
    case AVCOL_SPC_FCC:
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M: return YUV_BT601;
    case AVCOL_SPC_SMPTE240M: return YUV_SMPTE240;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL: return YUV_BT2020;
    default: return video_in__is_hd(in->first_width, in->first_height) ? YUV_BT709 : YUV_BT601;
    }
}

/* Gray without a range is full: FFmpeg writes it so, whatever the codec. */
VIDEO_IN__FN int video_in__full_range(const AVFrame *f, const AVPixFmtDescriptor *d)
{
    if (f->color_range != AVCOL_RANGE_UNSPECIFIED) return f->color_range == AVCOL_RANGE_JPEG;
    return (d->flags & AV_PIX_FMT_FLAG_RGB) || d->nb_components < 3 || strncmp(d->name, "yuvj", 4) == 0;
}

/* Can the components be picked out of memory one by one? Then this is no work for swscale. */
VIDEO_IN__FN int video_in__is_plain(const AVPixFmtDescriptor *d)
{
    const int n = d->nb_components < 3 ? 1 : 3;
    int i;
    if (d->flags & (AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BAYER | AV_PIX_FMT_FLAG_BITSTREAM | AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_FLOAT))
        return 0;
    if (strncmp(d->name, "xyz", 3) == 0 || d->log2_chroma_w > 2 || d->log2_chroma_h > 2) return 0;
    for (i = 0; i < n; i++)
        if (d->comp[i].depth != d->comp[0].depth || d->comp[i].depth < 8 || d->comp[i].depth + d->comp[i].shift > 16) return 0;
    return 1;
}

/* One decoded frame as RGB at its stored size, transparent parts on white. */
VIDEO_IN__FN int video_in__to_rgb(video_in *in, const AVFrame *f, unsigned char *rgb)
{
    const enum AVPixelFormat format = (enum AVPixelFormat)f->format;
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
    const ptrdiff_t stride = (ptrdiff_t)f->width * 3;
    const uint8_t *data[4];
    int linesize[4], i;
    yuv_format y;
    yuv_plane plane[4], alpha;
    if (!d) return 0;
    memcpy(data, f->data, sizeof data);
    memcpy(linesize, f->linesize, sizeof linesize);
    if (!video_in__is_plain(d)) {
        const size_t size = (size_t)f->width * (size_t)f->height * 4;
        if (in->rgba_size != size) {
            free(in->rgba);
            in->rgba = (unsigned char *)malloc(size);
            in->rgba_size = in->rgba ? size : 0;
        }
        data[0] = in->rgba;
        linesize[0] = f->width * 4;
        in->convert =
            sws_getCachedContext(in->convert, f->width, f->height, format, f->width, f->height, AV_PIX_FMT_RGBA, VIDEO_IN__SWS, NULL, NULL, NULL);
        if (!in->rgba || !in->convert ||
            sws_scale(in->convert, (const uint8_t *const *)f->data, f->linesize, 0, f->height, &in->rgba, linesize) != f->height)
            return 0;
        d = av_pix_fmt_desc_get(AV_PIX_FMT_RGBA);
    }
    memset(plane, 0, sizeof plane);
    for (i = 0; i < d->nb_components; i++) {
        plane[i].data = data[d->comp[i].plane] + d->comp[i].offset;
        plane[i].stride = linesize[d->comp[i].plane];
        plane[i].step = d->comp[i].step;
        plane[i].shift = d->comp[i].shift;
    }
    alpha = plane[d->nb_components - 1];
    if (d->nb_components < 3) plane[1].data = plane[2].data = NULL; /* gray */
    y.matrix = video_in__matrix(in, (int)f->colorspace);
    y.full_range = video_in__full_range(f, d);
    y.depth = d->comp[0].depth;
    y.big_endian = (d->flags & AV_PIX_FMT_FLAG_BE) != 0;
    y.log2_x = d->log2_chroma_w;
    y.log2_y = d->log2_chroma_h;
    y.centre_x = f->chroma_location == AVCHROMA_LOC_CENTER || f->chroma_location == AVCHROMA_LOC_TOP;
    y.centre_y = f->chroma_location != AVCHROMA_LOC_TOPLEFT && f->chroma_location != AVCHROMA_LOC_TOP;
    if (d->flags & AV_PIX_FMT_FLAG_RGB)
        yuv_pack_rgb(&y, plane, f->width, rgb, stride, 0, f->height);
    else
        yuv_to_rgb(&y, plane, f->width, f->height, rgb, stride, 0, f->height);
    if (d->flags & AV_PIX_FMT_FLAG_ALPHA) yuv_on_white(&y, &alpha, f->width, rgb, stride, 0, f->height);
    return 1;
}

VIDEO_IN__FN int video_in__scale(video_in *in, const unsigned char *from, int width, int height, unsigned char *to, int to_width, int to_height)
{
    const uint8_t *const source[4] = {from, NULL, NULL, NULL};
    unsigned char *out[4] = {to, NULL, NULL, NULL};
    const int source_stride[4] = {width * 3, 0, 0, 0}, stride[4] = {to_width * 3, 0, 0, 0};
    in->scale =
        sws_getCachedContext(in->scale, width, height, AV_PIX_FMT_RGB24, to_width, to_height, AV_PIX_FMT_RGB24, VIDEO_IN__SWS, NULL, NULL, NULL);
    return in->scale && sws_scale(in->scale, source, source_stride, 0, height, out, stride) == to_height;
}

VIDEO_IN__FN void video_in__turn(exif_turn turn, const unsigned char *from, int from_width, unsigned char *to, int width, int height)
{
    const ptrdiff_t along_x = 3 * (turn.transpose ? (ptrdiff_t)from_width : 1) * (turn.reverse_x ? -1 : 1);
    const ptrdiff_t along_y = 3 * (turn.transpose ? 1 : (ptrdiff_t)from_width) * (turn.reverse_y ? -1 : 1);
    int x, y;
    if (turn.reverse_x) from -= along_x * (width - 1);
    if (turn.reverse_y) from -= along_y * (height - 1);
    for (y = 0; y < height; y++) {
        const unsigned char *s = from + y * along_y;
        for (x = 0; x < width; x++, s += along_x, to += 3) to[0] = s[0], to[1] = s[1], to[2] = s[2];
    }
}

/* The shown frame as the caller wants it: RGB, square pixels, the first frame's size, upright. */
VIDEO_IN__FN int video_in__render(video_in *in, unsigned char *rgb)
{
    const AVFrame *f = in->shown;
    const int turns = in->turn.transpose || in->turn.reverse_x || in->turn.reverse_y;
    const int scales = f->width != in->square_width || f->height != in->square_height;
    const size_t square_size = (size_t)in->square_width * (size_t)in->square_height * 3;
    unsigned char *last = turns ? in->square : rgb;
    if (turns && !last) {
        last = in->square = (unsigned char *)malloc(square_size);
        if (!last) return 0;
    }
    if (scales) {
        if (in->scale_width != f->width || in->scale_height != f->height) {
            free(in->stored);
            in->stored = (unsigned char *)malloc((size_t)f->width * (size_t)f->height * 3);
            in->scale_width = f->width;
            in->scale_height = f->height;
        }
        if (!in->stored || !video_in__to_rgb(in, f, in->stored)) return 0;
        if (!video_in__scale(in, in->stored, f->width, f->height, last, in->square_width, in->square_height)) return 0;
    } else if (!video_in__to_rgb(in, f, last))
        return 0;
    if (turns) video_in__turn(in->turn, last, in->square_width, rgb, in->info.width, in->info.height);
    return 1;
}

/* ---- one file ---- */

VIDEO_IN__FN void video_in__complain(video_in *in)
{
    in->trouble = 1;
    if (in->decoded_any) in->damaged = 1;
}

/* The next frame in display order into `ahead`, over damage where there is some; none means the end. */
VIDEO_IN__FN void video_in__decode(video_in *in)
{
    AVStream *const stream = in->format->streams[in->stream];
    const long long second = av_rescale_q(1, av_make_q(1, 1), stream->time_base);
    in->has_ahead = 0;
    for (;;) {
        int r = avcodec_receive_frame(in->codec, in->ahead);
        if (r >= 0) {
            long long pts = in->ahead->best_effort_timestamp;
            if (pts == AV_NOPTS_VALUE)
                pts = in->has_clock ? in->last_end : 0;
            else
                pts += in->clock_shift;
            /* a clock set back, or far forward where the container allows it (spliced broadcasts), goes on where it was */
            if (in->has_clock &&
                (pts < in->last_end - second || (pts > in->last_end + 10 * second && (in->format->iformat->flags & AVFMT_TS_DISCONT)))) {
                in->clock_shift += in->last_end - pts;
                pts = in->last_end;
            }
            if (in->ahead->decode_error_flags || (in->ahead->flags & AV_FRAME_FLAG_CORRUPT)) video_in__complain(in);
            in->decoded_any = in->has_clock = in->has_ahead = 1;
            in->ahead_pts = pts;
            in->last_end = pts + in->frame_ticks;
            return;
        }
        if (r == AVERROR_EOF) return;
        if (r != AVERROR(EAGAIN)) {
            video_in__complain(in);
            continue;
        }
        if (in->draining) return;
        r = av_read_frame(in->format, in->packet);
        if (r < 0) {
            if (r == AVERROR(EAGAIN)) continue;
            if (r != AVERROR_EOF) in->read_error = r;
            in->draining = 1;
            avcodec_send_packet(in->codec, NULL);
            continue;
        }
        {
            const AVStream *from = in->format->streams[in->packet->stream_index];
            const long long pts = in->packet->pts != AV_NOPTS_VALUE ? in->packet->pts : in->packet->dts;
            if (pts != AV_NOPTS_VALUE) {
                const double end = (double)(pts + in->packet->duration) * av_q2d(from->time_base);
                if (end > in->other_end) in->other_end = end;
            }
        }
        if (in->packet->stream_index == stream->index) {
            if (in->packet->dts != AV_NOPTS_VALUE && in->packet->dts > in->last_dts) in->last_dts = in->packet->dts;
            if (in->packet->pts != AV_NOPTS_VALUE && in->packet->pts > in->last_pts) in->last_pts = in->packet->pts;
            if (in->packet->flags & AV_PKT_FLAG_CORRUPT) video_in__complain(in);
            /* everything was received before, so the decoder takes this packet or finds it damaged */
            if (avcodec_send_packet(in->codec, in->packet) < 0) video_in__complain(in);
        }
        av_packet_unref(in->packet);
    }
}

VIDEO_IN__FN long long video_in__slot_of(const video_in *in, long long pts)
{
    const AVRational step = {in->info.fps_den, in->info.fps_num};
    return av_rescale_q_rnd(pts - in->first_pts, in->format->streams[in->stream]->time_base, step, AV_ROUND_NEAR_INF);
}

VIDEO_IN__FN int video_in__is_key(const AVFrame *frame)
{
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
    return (frame->flags & AV_FRAME_FLAG_KEY) != 0;
#else
    return frame->key_frame;
#endif
}

VIDEO_IN__FN const uint8_t *video_in__display_matrix(const AVStream *stream, const AVFrame *frame)
{
    const AVFrameSideData *side = av_frame_get_side_data(frame, AV_FRAME_DATA_DISPLAYMATRIX);
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 102)
    const AVPacketSideData *packet =
        av_packet_side_data_get(stream->codecpar->coded_side_data, stream->codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
    if (packet && packet->size >= 36) return packet->data;
#else
    size_t size = 0;
    const uint8_t *data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
    if (data && size >= 36) return data;
#endif
    return side && side->size >= 36 ? side->data : NULL;
}

VIDEO_IN__FN exif_turn video_in__find_turn(const video_in *in)
{
    exif_turn turn = {0, 0, 0};
    const uint8_t *data;
    int32_t m[9];
    if (in->codec->codec_id == AV_CODEC_ID_MJPEG && in->info.is_still) {
        const size_t size = 1 << 17;
        unsigned char *head = (unsigned char *)malloc(size);
        FILE *file = head ? fopen(in->path, "rb") : NULL;
        if (file) {
            turn = exif_turn_of(exif_orientation(head, fread(head, 1, size, file)));
            fclose(file);
        }
        free(head);
        return turn;
    }
    data = video_in__display_matrix(in->format->streams[in->stream], in->ahead);
    if (!data) return turn;
    memcpy(m, data, sizeof m);
    turn.transpose = llabs((long long)m[1]) > llabs((long long)m[0]);
    turn.reverse_x = (turn.transpose ? m[3] : m[0]) < 0;
    turn.reverse_y = (turn.transpose ? m[1] : m[4]) < 0;
    return turn;
}

VIDEO_IN__FN void video_in__end(video_in *in)
{
    av_frame_free(&in->shown);
    av_frame_free(&in->ahead);
    av_packet_free(&in->packet);
    avcodec_free_context(&in->codec);
    avformat_close_input(&in->format);
}

VIDEO_IN__FN const char *video_in__open_stream(video_in *in, int *error)
{
    const AVCodec *decoder = NULL;
    const AVCodecDescriptor *about;
    AVDictionary *open_options = NULL;
    AVStream *stream;
    const AVInputFormat *device = in->options.device ? av_find_input_format(in->options.device) : NULL;
    char *url = video_in__copy(device ? "" : "file:", in->path, "");
    int r, i;
    *error = AVERROR(ENOMEM);
    if (!url) return "not enough memory";
    av_dict_set(&open_options, "pattern_type", "none", 0); /* a % in a picture's name is just a % */
    r = avformat_open_input(&in->format, url, device, &open_options);
    free(url);
    av_dict_free(&open_options);
    *error = r;
    if (r < 0 && device) return "FFmpeg cannot open this device";
    if (r < 0) return "not a video or picture that FFmpeg can read, or cut off before its index; check the file or convert it with ffmpeg";
    *error = r = avformat_find_stream_info(in->format, NULL);
    if (r < 0) return "its streams cannot be read; check the file or convert it with ffmpeg";
    *error = r = av_find_best_stream(in->format, AVMEDIA_TYPE_VIDEO, -1, -1, &decoder, 0);
    if (r == AVERROR_DECODER_NOT_FOUND) return "FFmpeg here has no decoder for this video; convert it to H.264 first";
    if (r < 0 || (in->format->streams[r]->disposition & AV_DISPOSITION_ATTACHED_PIC))
        return "holds no moving pictures, only sound or data; give a video, a picture or a folder of pictures";
    in->stream = r;
    stream = in->format->streams[r];
    for (i = 0; i < (int)in->format->nb_streams; i++) { /* sound is read past, attachments and thumbnails not at all */
        AVStream *s = in->format->streams[i];
        if (i != r && s->codecpar->codec_type != AVMEDIA_TYPE_AUDIO && s->codecpar->codec_type != AVMEDIA_TYPE_VIDEO) s->discard = AVDISCARD_ALL;
    }
    in->codec = avcodec_alloc_context3(decoder);
    in->packet = av_packet_alloc();
    in->shown = av_frame_alloc();
    in->ahead = av_frame_alloc();
    *error = AVERROR(ENOMEM);
    if (!in->codec || !in->packet || !in->shown || !in->ahead) return "not enough memory";
    *error = r = avcodec_parameters_to_context(in->codec, stream->codecpar);
    if (r < 0) return "its stream description is damaged; copy the file again";
    /* Threads only where frames stand alone. Decoders that predict from other frames patch damage differently with threads, and not even
       the same way twice; one thread of them is still several times faster than any mosaic is made. */
    about = avcodec_descriptor_get(decoder->id);
    in->codec->thread_count = about && (about->props & AV_CODEC_PROP_INTRA_ONLY) ? in->options.threads : 1;
    in->codec->pkt_timebase = stream->time_base;
    *error = r = avcodec_open2(in->codec, decoder, NULL);
    if (r < 0) return "its decoder does not start; convert it to H.264 first";
    return NULL;
}

/* Opens the stream, anew if need be, and decodes its first frame into `ahead`. */
VIDEO_IN__FN const char *video_in__begin(video_in *in, int *error)
{
    const char *problem;
    video_in__end(in);
    problem = video_in__open_stream(in, error);
    if (problem) return problem;
    in->rate = in->format->streams[in->stream]->avg_frame_rate;
    if (in->rate.num <= 0 || in->rate.den <= 0) in->rate = in->format->streams[in->stream]->r_frame_rate;
    if (in->rate.num <= 0 || in->rate.den <= 0) in->rate = av_make_q(25, 1);
    in->frame_ticks = av_rescale_q(1, av_inv_q(in->rate), in->format->streams[in->stream]->time_base);
    if (in->frame_ticks < 1) in->frame_ticks = 1;
    in->draining = in->decoded_any = in->has_clock = in->has_shown = in->read_error = in->trouble = in->damaged = 0;
    in->clock_shift = 0;
    in->last_dts = in->last_pts = INT64_MIN;
    in->other_end = 0;
    video_in__decode(in);
    if (!in->has_ahead) return "not one frame can be decoded, the file is damaged or cut off; copy it again";
    in->first_pts = in->ahead_pts;
    return NULL;
}

/* Makes `shown` the last frame that is due at the current slot. 0 when the file has nothing for it any more. */
VIDEO_IN__FN int video_in__advance(video_in *in)
{
    while (in->has_ahead && (!in->has_shown || video_in__slot_of(in, in->ahead_pts) <= in->slot)) {
        av_frame_unref(in->shown);
        av_frame_move_ref(in->shown, in->ahead);
        in->has_shown = 1;
        video_in__decode(in);
    }
    return in->has_shown && (in->has_ahead || in->slot < video_in__slot_of(in, in->last_end) || in->slot == 0);
}

/* Moves to the slot where reading starts: to the key frame before it where the file can do that, else frame by frame. */
VIDEO_IN__FN int video_in__skip(video_in *in)
{
    const AVRational step = {in->info.fps_den, in->info.fps_num};
    const long long target = in->first_pts + av_rescale_q(in->slot, step, in->format->streams[in->stream]->time_base);
    int error;
    if (av_seek_frame(in->format, in->stream, target, AVSEEK_FLAG_BACKWARD) >= 0) {
        avcodec_flush_buffers(in->codec);
        av_frame_unref(in->ahead);
        in->draining = in->has_clock = 0;
        video_in__decode(in);
        if (in->has_ahead && video_in__is_key(in->ahead) && video_in__slot_of(in, in->ahead_pts) <= in->slot && !in->trouble) return 1;
    }
    return video_in__begin(in, &error) == NULL;
}

VIDEO_IN__FN long long video_in__start_slot(const video_in *in)
{
    return in->options.start > 0 ? (long long)(in->options.start * in->info.fps_num / in->info.fps_den + .5) : 0;
}

/* Opens a file up to its first frame, whose properties stand for all. */
VIDEO_IN__FN int video_in__open_file(video_in *in, char *err, size_t err_size)
{
    video_in_info *const info = &in->info;
    const char *name, *problem;
    const AVPixFmtDescriptor *pixels;
    const int forced = in->options.fps_num > 0 && in->options.fps_den > 0;
    AVRational aspect;
    AVStream *stream;
    int error, matrix;
    double seconds;

    problem = video_in__begin(in, &error);
    if (problem) {
        if (error == AVERROR(EACCES) || error == AVERROR(ENOMEM)) problem = strerror(AVUNERROR(error));
        video_in__say(err, err_size, "%s: %s", in->path, problem);
        return 0;
    }
    stream = in->format->streams[in->stream];
    name = in->format->iformat->name;
    info->decoder = in->codec->codec->name;
    info->is_still = strcmp(name, "image2") == 0 || (strlen(name) > 5 && strcmp(name + strlen(name) - 5, "_pipe") == 0);
    if (info->is_still) in->rate = av_make_q(25, 1);
    info->fps_num = forced ? in->options.fps_num : in->rate.num;
    info->fps_den = forced ? in->options.fps_den : in->rate.den;
    in->slot = video_in__start_slot(in);
    in->first_width = in->ahead->width;
    in->first_height = in->ahead->height;
    in->turn = video_in__find_turn(in);

    /* square pixels */
    in->square_width = in->first_width;
    in->square_height = in->first_height;
    aspect = av_guess_sample_aspect_ratio(in->format, stream, in->ahead);
    if (!in->options.keep_aspect && aspect.num > 0 && aspect.den > 0 && av_q2d(aspect) <= 16 && av_q2d(aspect) >= 1. / 16) {
        if (aspect.num > aspect.den)
            in->square_width = (int)av_rescale(in->first_width, aspect.num, aspect.den);
        else
            in->square_height = (int)av_rescale(in->first_height, aspect.den, aspect.num);
    }
    info->width = in->turn.transpose ? in->square_height : in->square_width;
    info->height = in->turn.transpose ? in->square_width : in->square_height;
    if (in->first_width < 1 || in->first_height < 1 || info->width > 65535 || info->height > 65535) {
        video_in__say(err, err_size, "%s: %d x %d pixels are not supported, at most 65535 each way; scale it first", in->path, info->width,
                      info->height);
        return 0;
    }

    /* colour */
    pixels = av_pix_fmt_desc_get((enum AVPixelFormat)in->ahead->format);
    matrix = video_in__matrix(in, (int)in->ahead->colorspace);
    if (pixels && (pixels->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BAYER)))
        info->colour_matrix = AVCOL_SPC_RGB;
    else if (matrix == YUV_BT601)
        info->colour_matrix = in->ahead->colorspace == AVCOL_SPC_BT470BG ? AVCOL_SPC_BT470BG : AVCOL_SPC_SMPTE170M;
    else
        info->colour_matrix = matrix == YUV_BT709 ? AVCOL_SPC_BT709 : matrix == YUV_BT2020 ? AVCOL_SPC_BT2020_NCL : AVCOL_SPC_SMPTE240M;
    info->colour_range =
        info->colour_matrix == AVCOL_SPC_RGB || (pixels && video_in__full_range(in->ahead, pixels)) ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
    info->colour_primaries = (int)in->ahead->color_primaries;
    if (info->colour_primaries == AVCOL_PRI_UNSPECIFIED || info->colour_primaries == AVCOL_PRI_RESERVED0)
        info->colour_primaries = info->is_still || video_in__is_hd(in->first_width, in->first_height) ? AVCOL_PRI_BT709 : AVCOL_PRI_SMPTE170M;
    info->colour_transfer = (int)in->ahead->color_trc;
    if (info->colour_transfer == AVCOL_TRC_UNSPECIFIED || info->colour_transfer == AVCOL_TRC_RESERVED0)
        info->colour_transfer = info->is_still                                       ? AVCOL_TRC_IEC61966_2_1
                                : video_in__is_hd(in->first_width, in->first_height) ? AVCOL_TRC_BT709
                                                                                     : AVCOL_TRC_SMPTE170M;

    /* length */
    seconds = stream->duration > 0       ? (double)stream->duration * av_q2d(stream->time_base)
              : stream->nb_frames > 0    ? (double)stream->nb_frames / av_q2d(in->rate)
              : in->format->duration > 0 ? (double)in->format->duration / AV_TIME_BASE
                                         : 0;
    if (info->is_still)
        info->frames = 1;
    else if (stream->nb_frames > 0 && !forced)
        info->frames = stream->nb_frames;
    else
        info->frames = (long long)(seconds * info->fps_num / info->fps_den + .5);
    if (info->frames > 0) {
        info->frames -= in->slot;
        if (info->frames < 1) info->frames = 1;
    }
    if (in->options.count > 0 && (info->frames == 0 || info->frames > in->options.count)) info->frames = in->options.count;
    info->start_time = (double)in->first_pts * av_q2d(stream->time_base) + (double)in->slot * info->fps_den / info->fps_num;

    if (in->slot > 0) {
        if (!video_in__skip(in) || !video_in__advance(in)) {
            video_in__say(err, err_size, "%s: the start lies behind its end at %.2f seconds; start earlier", in->path,
                          (double)(in->last_end - in->first_pts) * av_q2d(stream->time_base));
            return 0;
        }
    }
    return 1;
}

/* What a file that has come to its end still owes, as one line; 1 when it owes nothing. */
VIDEO_IN__FN int video_in__settle(const video_in *in, char *err, size_t err_size)
{
    AVStream *const stream = in->format->streams[in->stream];
    const AVIndexEntry *last = NULL;
    const int entries = avformat_index_get_entries_count(stream);
    const int is_mp4 = strstr(in->format->iformat->name, "mp4") != NULL;
    double missing = 0;
    if (in->info.is_still) return 1;
    /* an index names data that ought to be there (in MP4 every packet with its decoding time); without one the container's length has to do */
    if (entries > 0) last = avformat_index_get_entry(stream, entries - 1);
    if (last) {
        const long long reached = is_mp4 || in->last_pts < in->last_dts ? in->last_dts : in->last_pts;
        if (reached != INT64_MIN && reached < last->timestamp) missing = (double)(last->timestamp - reached) * av_q2d(stream->time_base);
    }
    if (!is_mp4) { /* what the header promised, in seconds (Matroska) or in frames (AVI), with room for a careless writer */
        const double played = (double)(in->last_end - in->first_pts) * av_q2d(stream->time_base);
        double lack = stream->nb_frames > 0 ? (double)stream->nb_frames / av_q2d(in->rate) - played : 0;
        if (lack > .25 && lack > missing) missing = lack;
        /* Some writers mean by the duration the end of the last packet, some the time between first and last: the kinder reading, so that no whole
           file is called cut off. */
        lack = in->format->duration_estimation_method == AVFMT_DURATION_FROM_STREAM ? (double)in->format->duration / AV_TIME_BASE - in->other_end : 0;
        if (lack > .25 && lack > missing) missing = lack;
    }
    if (missing > 0)
        video_in__say(err, err_size, "%s: the file is cut off, its last %.2f seconds are missing after %lld frames; copy it again for the rest",
                      in->path, missing, in->given);
    else if (in->read_error)
        video_in__say(err, err_size, "%s: reading stopped after %lld frames, the file is damaged there; copy it again for the rest", in->path,
                      in->given);
    else if (in->damaged)
        video_in__say(err, err_size, "%s: the stream is damaged, some of its %lld frames are patched or repeated; copy it again", in->path,
                      in->given);
    else
        return 1;
    return 0;
}

VIDEO_IN__FN int video_in__read_file(video_in *in, unsigned char *rgb, char *err, size_t err_size)
{
    if (!video_in__advance(in)) return video_in__settle(in, err, err_size) ? 0 : -1;
    if (!video_in__render(in, rgb)) {
        video_in__say(err, err_size, "%s: a frame of %d x %d cannot be converted, not enough memory or a pixel format FFmpeg cannot read", in->path,
                      in->shown->width, in->shown->height);
        return -1;
    }
    in->slot++;
    return 1;
}

/* ---- a folder ---- */

/* Digits compare as numbers, so that 9.png comes before 10.png. */
VIDEO_IN__FN int video_in__natural(const void *left, const void *right)
{
    const char *const whole_a = *(const char *const *)left, *const whole_b = *(const char *const *)right;
    const unsigned char *a = (const unsigned char *)whole_a, *b = (const unsigned char *)whole_b;
    while (*a && *b) {
        if (isdigit(*a) && isdigit(*b)) {
            size_t la = 0, lb = 0;
            int order;
            while (*a == '0') a++;
            while (*b == '0') b++;
            while (isdigit(a[la])) la++;
            while (isdigit(b[lb])) lb++;
            if (la != lb) return la < lb ? -1 : 1;
            order = memcmp(a, b, la);
            if (order) return order;
            a += la;
            b += lb;
        } else if (*a != *b)
            return *a < *b ? -1 : 1;
        else {
            a++;
            b++;
        }
    }
    if (*a || *b) return *a ? 1 : -1;
    return strcmp(whole_a, whole_b);
}

VIDEO_IN__FN int video_in__is_picture_name(const char *name)
{
    static const char *const known[] = {"jpg",  "jpeg", "png",  "bmp", "tga", "ppm", "pgm", "pnm", "pam",
                                        "webp", "tif",  "tiff", "gif", "jp2", "exr", "dpx", "jxl", "avif"};
    const char *dot = strrchr(name, '.');
    size_t i, k;
    if (name[0] == '.' || !dot) return 0;
    for (i = 0; i < sizeof known / sizeof *known; i++) {
        for (k = 0; dot[1 + k] && tolower((unsigned char)dot[1 + k]) == known[i][k]; k++) {
        }
        if (!dot[1 + k] && !known[i][k]) return 1;
    }
    return 0;
}

VIDEO_IN__FN int video_in__list(video_in *in)
{
    DIR *folder = opendir(in->path);
    struct dirent *entry;
    int room = 0, ok = folder != NULL;
    while (ok && (entry = readdir(folder)) != NULL) {
        if (!video_in__is_picture_name(entry->d_name)) continue;
        if (in->name_count == room) {
            char **more = (char **)realloc(in->names, sizeof *more * (size_t)(room = room ? 2 * room : 64));
            if (!more) {
                ok = 0;
                break;
            }
            in->names = more;
        }
        in->names[in->name_count] = video_in__copy(in->path, "/", entry->d_name);
        ok = in->names[in->name_count] != NULL;
        in->name_count += ok;
    }
    if (folder) closedir(folder);
    if (in->name_count) qsort(in->names, (size_t)in->name_count, sizeof *in->names, video_in__natural);
    return ok;
}

/* The next picture that can be read, as an open file of its own; those that cannot are counted and the first is remembered.
   0 at the end, 1 with *picture open, 2 when this picture is unreadable. */
VIDEO_IN__FN int video_in__next_picture(video_in *in, video_in **picture, video_in_info *info)
{
    video_in_options options;
    memset(&options, 0, sizeof options);
    options.threads = 1;
    options.keep_aspect = in->options.keep_aspect;
    options.default_matrix = in->options.default_matrix;
    if (in->name_next >= in->name_count) return 0;
    *picture = video_in_open(in->names[in->name_next++], &options, info, NULL, 0);
    if (*picture) return 1;
    if (!in->unreadable++) in->first_unreadable = in->names[in->name_next - 1];
    return 2;
}

VIDEO_IN__FN int video_in__open_folder(video_in *in, char *err, size_t err_size)
{
    video_in_info *const info = &in->info;
    const video_in_options *const o = &in->options;
    const int rated = o->fps_num > 0 && o->fps_den > 0;
    video_in *picture = NULL;
    int r;
    if (!video_in__list(in)) {
        video_in__say(err, err_size, "%s: the folder cannot be listed: %s", in->path, strerror(errno));
        return 0;
    }
    if (!in->name_count) {
        video_in__say(err, err_size, "%s: no pictures in this folder; give one with PNG or JPEG frames", in->path);
        return 0;
    }
    while ((r = video_in__next_picture(in, &picture, info)) == 2) {
    }
    if (r == 0) {
        video_in__say(err, err_size, "%s: none of its %d pictures can be read; give a folder with intact PNG or JPEG frames", in->path,
                      in->name_count);
        return 0;
    }
    video_in_close(picture);
    in->name_next--; /* read again as the first frame */
    info->is_still = 0;
    info->fps_num = rated ? o->fps_num : 25;
    info->fps_den = rated ? o->fps_den : 1;
    in->slot = video_in__start_slot(in);
    if (in->slot >= in->name_count - in->name_next) {
        video_in__say(err, err_size, "%s: the start lies behind the last of its %d pictures; start earlier", in->path, in->name_count);
        return 0;
    }
    in->name_next += (int)in->slot;
    info->frames = in->name_count - in->name_next;
    if (o->count > 0 && o->count < info->frames) info->frames = o->count;
    return 1;
}

VIDEO_IN__FN int video_in__read_folder(video_in *in, unsigned char *rgb, char *err, size_t err_size)
{
    const size_t size = (size_t)in->info.width * (size_t)in->info.height * 3;
    video_in_info info;
    video_in *picture;
    int r, ok;
    while ((r = video_in__next_picture(in, &picture, &info)) == 2) {
        if (!in->stored) continue;
        memcpy(rgb, in->stored, size);
        return 1;
    }
    if (r == 0) {
        if (!in->unreadable) return 0;
        video_in__say(err, err_size, "%s: %d of %d pictures cannot be read, the first is %s; the picture before stands in for each", in->path,
                      in->unreadable, in->name_count, strrchr(in->first_unreadable, '/') + 1);
        return -1;
    }
    if (!in->stored) in->stored = (unsigned char *)malloc(size);
    ok = in->stored != NULL;
    if (ok && info.width == in->info.width && info.height == in->info.height)
        ok = video_in_read(picture, in->stored, err, err_size) == 1;
    else if (ok) {
        unsigned char *own = (unsigned char *)malloc((size_t)info.width * (size_t)info.height * 3);
        ok = own && video_in_read(picture, own, err, err_size) == 1 &&
             video_in__scale(in, own, info.width, info.height, in->stored, in->info.width, in->info.height);
        free(own);
    }
    video_in_close(picture);
    if (!ok) {
        video_in__say(err, err_size, "%s: a picture cannot be converted, not enough memory", in->path);
        return -1;
    }
    memcpy(rgb, in->stored, size);
    return 1;
}

/* ---- both ---- */

VIDEO_IN__FN video_in *video_in_open(const char *path, const video_in_options *options, video_in_info *info, char *err, size_t err_size)
{
    struct stat status;
    video_in *in;
    int is_folder, ok;
    av_log_set_level(AV_LOG_QUIET); /* what goes wrong is told once, in err */
    if (options && options->device) {
        if (!av_find_input_format(options->device)) {
            video_in__say(err, err_size, "%s: this FFmpeg knows no devices of this kind", options->device);
            return NULL;
        }
        status.st_mode = 0;
    } else if (stat(path, &status) != 0) {
        video_in__say(err, err_size, "%s: %s; check the path", path, strerror(errno));
        return NULL;
    }
    is_folder = S_ISDIR(status.st_mode);
    if (S_ISREG(status.st_mode) && status.st_size == 0) {
        video_in__say(err, err_size, "%s: the file is empty; copy it again", path);
        return NULL;
    }
    in = (video_in *)calloc(1, sizeof *in);
    if (in) in->path = video_in__copy(path, "", "");
    if (!in || !in->path) {
        video_in__say(err, err_size, "%s: not enough memory", path);
        video_in_close(in);
        return NULL;
    }
    if (options) in->options = *options;
    ok = is_folder ? video_in__open_folder(in, err, err_size) : video_in__open_file(in, err, err_size);
    if (!ok) {
        video_in_close(in);
        return NULL;
    }
    if (info) *info = in->info;
    return in;
}

VIDEO_IN__FN int video_in_read(video_in *in, unsigned char *rgb, char *err, size_t err_size)
{
    int r;
    if (in->options.count > 0 && in->given >= in->options.count) return 0;
    r = in->names ? video_in__read_folder(in, rgb, err, err_size) : video_in__read_file(in, rgb, err, err_size);
    in->given += r == 1;
    return r;
}

VIDEO_IN__FN void video_in_close(video_in *in)
{
    int i;
    if (!in) return;
    for (i = 0; i < in->name_count; i++) free(in->names[i]);
    free(in->names);
    sws_freeContext(in->convert);
    sws_freeContext(in->scale);
    free(in->rgba);
    free(in->stored);
    free(in->square);
    video_in__end(in);
    free(in->path);
    free(in);
}

#endif
