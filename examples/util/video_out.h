/* video_out.h - packed RGB frames to a film (H.264 in mp4, mov or mkv, with the source's sound), a folder of PNGs, one picture, or y4m on standard output.

   The encoder's settings do not depend on the machine: the same frames give the same bytes. A film or a folder gets its name when it is whole. */
#ifndef MOSAIC_UTIL_VIDEO_OUT_H
#define MOSAIC_UTIL_VIDEO_OUT_H

#include "pictures.h"
#include "sound.h"
#include "yuv.h"
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>

enum { VIDEO_OUT_FILM, VIDEO_OUT_FOLDER, VIDEO_OUT_PICTURE, VIDEO_OUT_Y4M };

typedef struct video_out_options {
    int width, height, threads; /* threads: of OpenMP, for colour conversion */
    AVRational rate;
    int crf;
    const char *preset;              /* of x264 */
    int matrix, primaries, transfer; /* AVCOL_*: written to the film; a matrix unknown here becomes BT.709 */
    const char *sound_from;          /* file, or null */
    double start;                    /* seconds, where on its clock the first picture stands */
} video_out_options;

typedef struct video_out {
    video_out_options o;
    int kind;
    char path[PATH_MAX];
    whole_file file;
    yuv_format yuv;
    int64_t frames;
    AVFormatContext *film; /* film only */
    AVStream *stream;
    sound *sound;
    AVCodecContext *encoder; /* film and folder */
    AVFrame *frame;
    AVPacket *packet;
    int64_t pictures;      /* folder: files written */
    unsigned char *planes; /* y4m */
} video_out;

static const char *const video_out_endings[] = {"mp4", "mov", "mkv", "png", "jpg", "jpeg", NULL};

/* Which kind a name asks for, or -1 with a line in err. */
static inline int video_out_kind(const char *path, char *err, size_t err_size)
{
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    struct stat st;
    int i;
    if (!strcmp(path, "-")) return VIDEO_OUT_Y4M;
    if ((slash && !slash[1]) || (!stat(path, &st) && S_ISDIR(st.st_mode))) return VIDEO_OUT_FOLDER;
    for (i = 0; dot && video_out_endings[i]; i++)
        if (!strcasecmp(dot + 1, video_out_endings[i])) return i < 3 ? VIDEO_OUT_FILM : VIDEO_OUT_PICTURE;
    snprintf(err, err_size,
             "%s: the name does not say what to write; .mp4 .mov .mkv are films, .png .jpg one picture, a name ending in / is a folder, - is y4m",
             path);
    return -1;
}

static inline const char *video_out_encoder(const video_out *v)
{
    return v->encoder ? v->encoder->codec->name : v->kind == VIDEO_OUT_Y4M ? "y4m" : "stb_image_write";
}

static inline int video_out__failed(const video_out *v, int code, char *err, size_t err_size)
{
    char reason[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(code, reason, sizeof reason);
    snprintf(err, err_size, "%s: cannot be written: %s%s", v->path, reason, code == AVERROR(ENOSPC) ? "; free some space" : "");
    return -1;
}

/* RGB to the encoder's planes by OpenMP threads, bands of even rows each. That this team stands beside the engine's has a second use: with more
   threads than cores libgomp lets idle ones sleep at once; otherwise they would spin while the encoder wants the core. */
static inline void video_out__to_yuv(const video_out *v, const unsigned char *rgb, unsigned char *const plane[3], const ptrdiff_t stride[3])
{
    const int band = (v->o.height / 8 + 2) & ~1;
    int row;
#ifdef _OPENMP
#pragma omp parallel for num_threads(v->o.threads)
#endif
    for (row = 0; row < v->o.height; row += band)
        yuv_from_rgb(&v->yuv, rgb, 3 * (ptrdiff_t)v->o.width, v->o.width, v->o.height, plane, stride, row,
                     row + band < v->o.height ? row + band : v->o.height);
}

/* ---- film ---- */

static inline int video_out__yuv_matrix(int matrix)
{
    switch (matrix) {
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M: return YUV_BT601;
    case AVCOL_SPC_SMPTE240M: return YUV_SMPTE240;
    case AVCOL_SPC_BT2020_NCL: return YUV_BT2020;
    default: return YUV_BT709;
    }
}

static inline int video_out__open_h264(video_out *v, char *err, size_t err_size)
{
    const AVCodec *codec = avcodec_find_encoder_by_name("libx264");
    AVCodecContext *e = v->encoder = codec ? avcodec_alloc_context3(codec) : NULL;
    int r;
    if (!e) {
        snprintf(err, err_size, "this FFmpeg has no libx264; install one that has, or write a folder of pictures or y4m (--output -)");
        return -1;
    }
    e->width = v->o.width;
    e->height = v->o.height;
    e->pix_fmt = AV_PIX_FMT_YUV420P;
    e->time_base = av_inv_q(v->o.rate);
    e->framerate = v->o.rate;
    e->sample_aspect_ratio = av_make_q(1, 1);
    e->color_range = AVCOL_RANGE_MPEG;
    e->colorspace = v->yuv.matrix == YUV_BT709 ? AVCOL_SPC_BT709 : (enum AVColorSpace)v->o.matrix;
    e->color_primaries = (enum AVColorPrimaries)v->o.primaries;
    e->color_trc = (enum AVColorTransferCharacteristic)v->o.transfer;
    e->chroma_sample_location = AVCHROMA_LOC_LEFT;
    e->thread_count = 4; /* x264's choices depend on this number and, without cpu-independent, on the instruction set */
    e->flags |= AV_CODEC_FLAG_BITEXACT;
    if (v->film->oformat->flags & AVFMT_GLOBALHEADER) e->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    av_opt_set(e->priv_data, "preset", v->o.preset, 0);
    av_opt_set_double(e->priv_data, "crf", v->o.crf, 0);
    av_opt_set(e->priv_data, "x264-params", "cpu-independent=1", 0);
    r = avcodec_open2(e, codec, NULL);
    return r < 0 ? video_out__failed(v, r, err, err_size) : 0;
}

/* One attempt; encode_sound: do not copy it. 0, -1 final, 1 the container refused the copied sound. */
static inline int video_out__try_film(video_out *v, int encode_sound, char *err, size_t err_size)
{
    const char *muxer = !strcasecmp(strrchr(v->path, '.'), ".mkv") ? "matroska" : !strcasecmp(strrchr(v->path, '.'), ".mov") ? "mov" : "mp4";
    AVDictionary *options = NULL;
    int r;
    if (avformat_alloc_output_context2(&v->film, NULL, muxer, v->file.part) < 0) return video_out__failed(v, AVERROR(ENOMEM), err, err_size);
    v->film->flags |= AVFMT_FLAG_BITEXACT;
    v->stream = avformat_new_stream(v->film, NULL);
    if (!v->stream) return video_out__failed(v, AVERROR(ENOMEM), err, err_size);
    if (video_out__open_h264(v, err, err_size)) return -1;
    v->stream->time_base = v->encoder->time_base;
    v->stream->avg_frame_rate = v->o.rate;
    v->stream->sample_aspect_ratio = av_make_q(1, 1);
    if ((r = avcodec_parameters_from_context(v->stream->codecpar, v->encoder)) < 0) return video_out__failed(v, r, err, err_size);
    if (v->o.sound_from && (r = sound_open(&v->sound, v->o.sound_from, v->o.start, encode_sound, v->film)) < 0) {
        char reason[AV_ERROR_MAX_STRING_SIZE] = "";
        av_strerror(r, reason, sizeof reason);
        snprintf(err, err_size, "%s: its sound can be neither copied nor encoded: %s; strip it from the source", v->o.sound_from, reason);
        return -1;
    }
    if ((r = avio_open(&v->film->pb, v->file.part, AVIO_FLAG_WRITE)) < 0) {
        errno = AVUNERROR(r);
        whole_file_refused(v->path, err, err_size);
        return -1;
    }
    if (strcmp(muxer, "matroska")) av_dict_set(&options, "movflags", "+faststart", 0);
    r = avformat_write_header(v->film, &options);
    av_dict_free(&options);
    if (r >= 0) return 0;
    video_out__failed(v, r, err, err_size);
    return v->sound && !v->sound->encoder ? 1 : -1;
}

static inline void video_out__drop_film(video_out *v)
{
    if (v->film) avio_closep(&v->film->pb);
    avformat_free_context(v->film);
    v->film = NULL;
    avcodec_free_context(&v->encoder);
    sound_close(&v->sound);
}

static inline int video_out__open_film(video_out *v, char *err, size_t err_size)
{
    int r;
    if (v->o.width % 2 || v->o.height % 2) {
        snprintf(err, err_size, "%s: H.264 wants even sizes and the mosaic is %dx%d; give --tile-size even numbers, or write a folder or y4m",
                 v->path, v->o.width, v->o.height);
        return -1;
    }
    r = video_out__try_film(v, 0, err, err_size);
    if (r <= 0) return r;
    video_out__drop_film(v);
    return video_out__try_film(v, 1, err, err_size) ? -1 : 0;
}

/* ---- folder ---- */

/* An existing folder must not hold frames of another run: two films would be mixed. */
static inline int video_out__open_folder(video_out *v, char *err, size_t err_size)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_PNG);
    DIR *d = opendir(v->file.path);
    struct dirent *entry;
    int used = 0, r;
    while (d && (entry = readdir(d)) != NULL) used |= !strncmp(entry->d_name, "frame_", 6);
    if (d) closedir(d);
    if (used) {
        snprintf(err, err_size, "%s: already holds frames (frame_...); empty it or name another folder", v->path);
        return -1;
    }
    if (mkdir(v->file.part, 0777)) {
        whole_file_refused(v->path, err, err_size);
        return -1;
    }
    v->encoder = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!v->encoder) {
        snprintf(err, err_size, "this FFmpeg cannot write PNG");
        return -1;
    }
    v->encoder->width = v->o.width;
    v->encoder->height = v->o.height;
    v->encoder->pix_fmt = AV_PIX_FMT_RGB24;
    v->encoder->time_base = av_inv_q(v->o.rate);
    v->encoder->thread_count = 4;
    v->encoder->flags |= AV_CODEC_FLAG_BITEXACT;
    v->encoder->compression_level = 1; /* photographs hardly shrink: 6 takes twice the time for a hundredth less */
    av_opt_set(v->encoder->priv_data, "pred", "up", 0);
    r = avcodec_open2(v->encoder, codec, NULL);
    return r < 0 ? video_out__failed(v, r, err, err_size) : 0;
}

static inline int video_out__name(const char *folder, int64_t number, char *name)
{
    return snprintf(name, PATH_MAX, "%s/frame_%06lld.png", folder, (long long)number) < PATH_MAX ? 0 : -1;
}

static inline int video_out__save_picture(video_out *v, char *err, size_t err_size)
{
    char name[PATH_MAX];
    int failed, reason;
    FILE *f;
    errno = ENAMETOOLONG;
    f = video_out__name(v->file.part, ++v->pictures, name) ? NULL : fopen(name, "wb");
    failed = !f || fwrite(v->packet->data, 1, (size_t)v->packet->size, f) != (size_t)v->packet->size;
    reason = errno;
    if (f && fclose(f) && !failed) failed = 1, reason = errno;
    if (!failed) return 0;
    errno = reason;
    whole_file_refused(v->path, err, err_size);
    return -1;
}

/* The finished folder takes its name; frames for a folder that was there are moved into it. */
static inline int video_out__finish_folder(video_out *v, char *err, size_t err_size)
{
    char from[PATH_MAX], to[PATH_MAX];
    int64_t i;
    if (!rename(v->file.part, v->file.path)) return 0; /* new, or was empty */
    for (i = 1; i <= v->pictures; i++)
        if (video_out__name(v->file.part, i, from) || video_out__name(v->file.path, i, to) || rename(from, to)) {
            whole_file_refused(v->path, err, err_size);
            return -1;
        }
    rmdir(v->file.part);
    return 0;
}

static inline void video_out__discard_folder(video_out *v)
{
    char name[PATH_MAX];
    int64_t i;
    for (i = 1; i <= v->pictures; i++)
        if (!video_out__name(v->file.part, i, name)) remove(name);
    rmdir(v->file.part);
}

/* ---- y4m ---- */

static inline size_t video_out__plane(const video_out *v) { return (size_t)v->o.width * (size_t)v->o.height; }

static inline int video_out__stdout_failed(char *err, size_t err_size)
{
    if (errno == EPIPE)
        snprintf(err, err_size, "standard output: the program that reads it has ended");
    else
        snprintf(err, err_size, "standard output: cannot be written: %s", strerror(errno));
    return -1;
}

static inline int video_out__open_y4m(video_out *v, char *err, size_t err_size)
{
    if (isatty(STDOUT_FILENO)) {
        snprintf(err, err_size, "--output - writes video to standard output, which is a terminal here; send it into a file or a program");
        return -1;
    }
    v->planes = (unsigned char *)malloc(3 * video_out__plane(v));
    if (!v->planes) {
        snprintf(err, err_size, "out of memory");
        return -1;
    }
    if (printf("YUV4MPEG2 W%d H%d F%d:%d Ip A1:1 C444 XCOLORRANGE=LIMITED\n", v->o.width, v->o.height, v->o.rate.num, v->o.rate.den) < 0)
        return video_out__stdout_failed(err, err_size);
    return 0;
}

static inline int video_out__write_y4m(video_out *v, const unsigned char *rgb, char *err, size_t err_size)
{
    const size_t plane = video_out__plane(v);
    unsigned char *planes[3] = {v->planes, v->planes + plane, v->planes + 2 * plane};
    const ptrdiff_t strides[3] = {v->o.width, v->o.width, v->o.width};
    video_out__to_yuv(v, rgb, planes, strides);
    if (printf("FRAME\n") < 0 || fwrite(v->planes, 1, 3 * plane, stdout) != 3 * plane) return video_out__stdout_failed(err, err_size);
    return 0;
}

/* ---- all of them ---- */

/* Takes the encoder's packets; the sound follows the pictures. */
static inline int video_out__drain(video_out *v, char *err, size_t err_size)
{
    int r;
    while ((r = avcodec_receive_packet(v->encoder, v->packet)) >= 0) {
        if (v->kind == VIDEO_OUT_FOLDER) {
            r = video_out__save_picture(v, err, err_size);
            av_packet_unref(v->packet);
            if (r) return -1;
            continue;
        }
        v->packet->duration = 1;
        if (v->sound && (r = sound_write(v->sound, v->film, av_rescale_q(v->packet->dts, v->encoder->time_base, AV_TIME_BASE_Q), 0)) < 0) break;
        av_packet_rescale_ts(v->packet, v->encoder->time_base, v->stream->time_base);
        v->packet->stream_index = v->stream->index;
        if ((r = av_interleaved_write_frame(v->film, v->packet)) < 0) break;
    }
    return r == AVERROR(EAGAIN) || r == AVERROR_EOF ? 0 : video_out__failed(v, r, err, err_size);
}

static inline int video_out__encode(video_out *v, const unsigned char *rgb, char *err, size_t err_size)
{
    AVFrame *f = v->frame;
    int r, y;
    if (!f->data[0]) {
        f->format = v->encoder->pix_fmt;
        f->width = v->o.width;
        f->height = v->o.height;
        r = av_frame_get_buffer(f, 0);
    } else {
        r = av_frame_make_writable(f);
    }
    if (r < 0) return video_out__failed(v, r, err, err_size);
    if (v->kind == VIDEO_OUT_FOLDER) {
        for (y = 0; y < f->height; y++)
            memcpy(f->data[0] + (ptrdiff_t)y * f->linesize[0], rgb + (size_t)y * (size_t)f->width * 3, (size_t)f->width * 3);
    } else {
        unsigned char *planes[3] = {f->data[0], f->data[1], f->data[2]};
        const ptrdiff_t strides[3] = {f->linesize[0], f->linesize[1], f->linesize[2]};
        video_out__to_yuv(v, rgb, planes, strides);
    }
    f->pts = v->frames;
    r = avcodec_send_frame(v->encoder, f);
    return r < 0 ? video_out__failed(v, r, err, err_size) : video_out__drain(v, err, err_size);
}

/* Packed RGB, width * 3 bytes a row. 0, or -1 with a line in err. */
static inline int video_out_write(video_out *v, const unsigned char *rgb, char *err, size_t err_size)
{
    int r = 0;
    if (v->encoder)
        r = video_out__encode(v, rgb, err, err_size);
    else if (v->kind == VIDEO_OUT_Y4M)
        r = video_out__write_y4m(v, rgb, err, err_size);
    else if (!v->frames)
        r = picture_write(v->path, rgb, v->o.width, v->o.height, err, err_size);
    v->frames++;
    return r;
}

static inline int video_out__finish_film(video_out *v, char *err, size_t err_size)
{
    int r = 0, closed;
    if (v->sound) r = sound_write(v->sound, v->film, av_rescale_q(v->frames, v->encoder->time_base, AV_TIME_BASE_Q), 1);
    if (r >= 0) r = av_write_trailer(v->film);
    if (r >= 0) avio_flush(v->film->pb);
    if (r >= 0) r = v->film->pb->error;
    closed = avio_closep(&v->film->pb);
    if (r >= 0) r = closed;
    if (r < 0) return video_out__failed(v, r, err, err_size);
    return whole_file_rename(&v->file, err, err_size);
}

static inline int video_out__finish(video_out *v, char *err, size_t err_size)
{
    int r;
    if (v->kind == VIDEO_OUT_Y4M) return fflush(stdout) ? video_out__stdout_failed(err, err_size) : 0;
    if (!v->encoder) return 0;
    if ((r = avcodec_send_frame(v->encoder, NULL)) < 0) return video_out__failed(v, r, err, err_size);
    if (video_out__drain(v, err, err_size)) return -1;
    return v->kind == VIDEO_OUT_FILM ? video_out__finish_film(v, err, err_size) : video_out__finish_folder(v, err, err_size);
}

/* Ends the output and frees v. keep 0: throws away what was written. 0, or -1 with a line in err and nothing left behind. */
static inline int video_out_close(video_out *v, int keep, char *err, size_t err_size)
{
    int r = 0;
    if (!v) return 0;
    if (keep) r = video_out__finish(v, err, err_size);
    if (r || !keep) {
        if (v->kind == VIDEO_OUT_FILM) whole_file_discard(&v->file);
        if (v->kind == VIDEO_OUT_FOLDER) video_out__discard_folder(v);
    }
    video_out__drop_film(v);
    av_frame_free(&v->frame);
    av_packet_free(&v->packet);
    free(v->planes);
    free(v);
    return r;
}

/* Opens; null with a line in err. Everything that can be refused is refused here, before the first frame. */
static inline video_out *video_out_open(const char *path, const video_out_options *options, char *err, size_t err_size)
{
    video_out *v = (video_out *)calloc(1, sizeof *v);
    int r = -1;
    char ignored[8];
    if (!v) return NULL;
    v->o = *options;
    v->kind = video_out_kind(path, err, err_size);
    snprintf(v->path, sizeof v->path, "%s", path);
    /* y4m has no place for a matrix: its readers take it as BT.601. */
    v->yuv.matrix = v->kind == VIDEO_OUT_Y4M ? YUV_BT601 : video_out__yuv_matrix(options->matrix);
    v->yuv.depth = 8;
    v->yuv.centre_y = 1;
    v->frame = av_frame_alloc();
    v->packet = av_packet_alloc();
    if (v->kind >= 0 && v->frame && v->packet) r = whole_file_name(&v->file, path, err, err_size);
    if (!r && v->kind == VIDEO_OUT_FILM)
        v->yuv.log2_x = v->yuv.log2_y = 1, r = video_out__open_film(v, err, err_size);
    else if (!r && v->kind == VIDEO_OUT_FOLDER)
        r = video_out__open_folder(v, err, err_size);
    else if (!r && v->kind == VIDEO_OUT_Y4M)
        r = video_out__open_y4m(v, err, err_size);
    if (!r) return v;
    video_out_close(v, 0, ignored, sizeof ignored);
    return NULL;
}

#endif
