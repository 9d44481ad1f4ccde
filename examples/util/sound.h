/* sound.h - the sound of one file into another beside new pictures: copied where the container takes it, otherwise encoded as AAC.

   Times are in microseconds from the first picture written. The copy begins with the packet before the first picture when the container can hide it
   (decoders need it to start cleanly), and ends with the last packet that begins before the pictures end; encoded sound is cut to the sample. */
#ifndef MOSAIC_UTIL_SOUND_H
#define MOSAIC_UTIL_SOUND_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/audio_fifo.h>
#include <libavutil/channel_layout.h>
#include <libswresample/swresample.h>

typedef struct sound {
    AVFormatContext *in;
    AVStream *from, *to;
    AVPacket *packet;
    int64_t origin;   /* of the first picture in the source's time */
    int64_t position; /* written so far, in to's time base (copy) or samples (encoding) */
    int ended;        /* the source has no more packets */
    int held;         /* copy: packet is read but not yet due */
    /* encoding only */
    AVCodecContext *decoder, *encoder;
    SwrContext *resampler;
    AVAudioFifo *fifo;
    AVFrame *decoded, *frame;
    int begun;
} sound;

static inline void sound_close(sound **handle)
{
    sound *s = *handle;
    if (!s) return;
    avformat_close_input(&s->in);
    av_packet_free(&s->packet);
    avcodec_free_context(&s->decoder);
    avcodec_free_context(&s->encoder);
    swr_free(&s->resampler);
    if (s->fifo) av_audio_fifo_free(s->fifo);
    av_frame_free(&s->decoded);
    av_frame_free(&s->frame);
    av_freep(handle);
}

/* The encoder takes float planes; rates AAC does not know become 48 kHz, more than six channels become two. */
static inline int sound__open_codecs(sound *s, const AVFormatContext *out)
{
    static const int rates[] = {96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000};
    const AVCodec *decoder = avcodec_find_decoder(s->from->codecpar->codec_id), *encoder = avcodec_find_encoder(AV_CODEC_ID_AAC);
    const int channels = s->from->codecpar->ch_layout.nb_channels;
    AVChannelLayout unordered;
    int i, r;
    if (!decoder || !encoder) return AVERROR_DECODER_NOT_FOUND;
    s->decoder = avcodec_alloc_context3(decoder);
    s->encoder = avcodec_alloc_context3(encoder);
    s->decoded = av_frame_alloc();
    s->frame = av_frame_alloc();
    if (!s->decoder || !s->encoder || !s->decoded || !s->frame) return AVERROR(ENOMEM);
    if ((r = avcodec_parameters_to_context(s->decoder, s->from->codecpar)) < 0) return r;
    s->decoder->pkt_timebase = s->from->time_base;
    if ((r = avcodec_open2(s->decoder, decoder, NULL)) < 0) return r;
    s->encoder->sample_fmt = AV_SAMPLE_FMT_FLTP;
    s->encoder->sample_rate = 48000;
    for (i = 0; i < (int)(sizeof rates / sizeof *rates); i++)
        if (rates[i] == s->decoder->sample_rate) s->encoder->sample_rate = rates[i];
    av_channel_layout_default(&s->encoder->ch_layout, channels > 6 ? 2 : channels);
    s->encoder->bit_rate = 96000 * (int64_t)s->encoder->ch_layout.nb_channels;
    s->encoder->time_base = av_make_q(1, s->encoder->sample_rate);
    s->encoder->flags |= AV_CODEC_FLAG_BITEXACT;
    if (out->oformat->flags & AVFMT_GLOBALHEADER) s->encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    if ((r = avcodec_open2(s->encoder, encoder, NULL)) < 0) return r;
    av_channel_layout_default(&unordered, channels);
    r = swr_alloc_set_opts2(&s->resampler, &s->encoder->ch_layout, AV_SAMPLE_FMT_FLTP, s->encoder->sample_rate,
                            s->decoder->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC ? &unordered : &s->decoder->ch_layout, s->decoder->sample_fmt,
                            s->decoder->sample_rate, 0, NULL);
    if (r < 0 || (r = swr_init(s->resampler)) < 0) return r;
    s->fifo = av_audio_fifo_alloc(AV_SAMPLE_FMT_FLTP, s->encoder->ch_layout.nb_channels, 4096);
    return s->fifo ? avcodec_parameters_from_context(s->to->codecpar, s->encoder) : AVERROR(ENOMEM);
}

/* Adds a stream to `out`, whose header is not yet written. *handle stays null when the file has no sound. start: seconds, where on its
   clock the first picture stands. encode: 1 to encode even what the container claims to take. An AVERROR code, or 0. */
static inline int sound_open(sound **handle, const char *path, double start, int encode, AVFormatContext *out)
{
    sound *s;
    int r, index;
    unsigned i;
    *handle = NULL;
    s = (sound *)av_mallocz(sizeof *s);
    if (!s) return AVERROR(ENOMEM);
    if (avformat_open_input(&s->in, path, NULL, NULL) < 0 || avformat_find_stream_info(s->in, NULL) < 0 ||
        (index = av_find_best_stream(s->in, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0)) < 0 || s->in->streams[index]->codecpar->ch_layout.nb_channels < 1) {
        sound_close(&s);
        return 0;
    }
    s->from = s->in->streams[index];
    for (i = 0; i < s->in->nb_streams; i++) s->in->streams[i]->discard = (int)i == index ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
    s->origin = (int64_t)(start * AV_TIME_BASE + (start < 0 ? -0.5 : 0.5));
    if (start > 1) avformat_seek_file(s->in, -1, INT64_MIN, s->origin - AV_TIME_BASE, s->origin - AV_TIME_BASE, 0);
    s->packet = av_packet_alloc();
    s->to = avformat_new_stream(out, NULL);
    r = s->packet && s->to ? 0 : AVERROR(ENOMEM);
    if (!r && (encode || avformat_query_codec(out->oformat, s->from->codecpar->codec_id, FF_COMPLIANCE_NORMAL) != 1))
        r = sound__open_codecs(s, out);
    else if (!r && (r = avcodec_parameters_copy(s->to->codecpar, s->from->codecpar)) >= 0)
        s->to->codecpar->codec_tag = 0;
    if (!r) s->to->time_base = s->encoder ? s->encoder->time_base : s->from->time_base;
    *handle = s;
    return r < 0 ? r : 0;
}

/* Next packet of the sound stream: 1, or 0 at the end (damage ends the sound as well). */
static inline int sound__read(sound *s)
{
    while (!s->ended) {
        av_packet_unref(s->packet);
        if (av_read_frame(s->in, s->packet) < 0)
            s->ended = 1;
        else if (s->packet->stream_index == s->from->index)
            return 1;
    }
    return 0;
}

static inline int sound__copy(sound *s, AVFormatContext *out, int64_t until)
{
    const AVRational tb = s->from->time_base;
    const int64_t zero = av_rescale_q(s->origin, AV_TIME_BASE_Q, tb), end = zero + av_rescale_q(until, AV_TIME_BASE_Q, tb);
    const int hides = out->oformat->flags & AVFMT_TS_NEGATIVE;
    int r;
    for (;;) {
        AVPacket *p = s->packet;
        int64_t time;
        if (!s->held && !sound__read(s)) return 0;
        s->held = 1;
        time = p->pts != AV_NOPTS_VALUE ? p->pts : p->dts;
        if (time != AV_NOPTS_VALUE && time >= end) return 0;
        s->held = 0;
        if (time == AV_NOPTS_VALUE || (hides ? time + 2 * p->duration <= zero : time < zero)) continue;
        if (p->pts != AV_NOPTS_VALUE) p->pts -= zero;
        if (p->dts != AV_NOPTS_VALUE) p->dts -= zero;
        av_packet_rescale_ts(p, tb, s->to->time_base);
        p->stream_index = s->to->index;
        p->pos = -1;
        if ((r = av_interleaved_write_frame(out, p)) < 0) return r;
    }
}

/* Silence, where the source has a gap or begins late. */
static inline int sound__silence(sound *s, int64_t samples)
{
    int r = 0;
    while (samples > 0 && r >= 0) {
        int n = samples > 4096 ? 4096 : (int)samples;
        av_frame_unref(s->frame);
        s->frame->format = AV_SAMPLE_FMT_FLTP;
        s->frame->nb_samples = n;
        r = av_channel_layout_copy(&s->frame->ch_layout, &s->encoder->ch_layout);
        if (r >= 0) r = av_frame_get_buffer(s->frame, 0);
        if (r >= 0) av_samples_set_silence(s->frame->extended_data, 0, n, s->encoder->ch_layout.nb_channels, AV_SAMPLE_FMT_FLTP);
        if (r >= 0) r = av_audio_fifo_write(s->fifo, (void **)s->frame->extended_data, n);
        samples -= n;
    }
    return r < 0 ? r : 0;
}

/* One decoded frame (null: what the resampler still holds) into the fifo, at its place in time. */
static inline int sound__take(sound *s, AVFrame *in)
{
    const int rate = s->encoder->sample_rate, most = (int)swr_get_delay(s->resampler, rate) + 64 +
                                                     (in ? (int)av_rescale_rnd(in->nb_samples, rate, s->decoder->sample_rate, AV_ROUND_UP) : 0);
    int r, n;
    if (in && in->best_effort_timestamp != AV_NOPTS_VALUE) {
        const int64_t due =
            av_rescale_q(av_rescale_q(in->best_effort_timestamp, s->from->time_base, AV_TIME_BASE_Q) - s->origin, AV_TIME_BASE_Q, av_make_q(1, rate));
        const int64_t have = s->position + av_audio_fifo_size(s->fifo) + swr_get_delay(s->resampler, rate), ahead = due - have;
        if ((!s->begun && ahead > 0) || ahead > rate / 10) {
            if ((r = sound__silence(s, ahead)) < 0) return r;
        } else if ((!s->begun && ahead < 0) || ahead < -rate / 10) {
            if (-ahead >= in->nb_samples) return 0; /* all of it is before the first picture, or was there already */
            swr_drop_output(s->resampler, (int)-ahead);
        }
        s->begun = 1;
    }
    av_frame_unref(s->frame);
    s->frame->format = AV_SAMPLE_FMT_FLTP;
    s->frame->nb_samples = most;
    if ((r = av_channel_layout_copy(&s->frame->ch_layout, &s->encoder->ch_layout)) < 0 || (r = av_frame_get_buffer(s->frame, 0)) < 0) return r;
    n = swr_convert(s->resampler, s->frame->extended_data, most, in ? (const uint8_t **)in->extended_data : NULL, in ? in->nb_samples : 0);
    return n > 0 ? av_audio_fifo_write(s->fifo, (void **)s->frame->extended_data, n) : n;
}

static inline int sound__drain(sound *s, AVFormatContext *out)
{
    int r;
    while ((r = avcodec_receive_packet(s->encoder, s->packet)) >= 0) {
        av_packet_rescale_ts(s->packet, s->encoder->time_base, s->to->time_base);
        s->packet->stream_index = s->to->index;
        if ((r = av_interleaved_write_frame(out, s->packet)) < 0) return r;
    }
    return r == AVERROR(EAGAIN) || r == AVERROR_EOF ? 0 : r;
}

/* Encodes the next n samples of the fifo. */
static inline int sound__encode(sound *s, AVFormatContext *out, int n)
{
    int r;
    av_frame_unref(s->frame);
    s->frame->format = AV_SAMPLE_FMT_FLTP;
    s->frame->sample_rate = s->encoder->sample_rate;
    s->frame->nb_samples = n;
    s->frame->pts = s->position;
    if ((r = av_channel_layout_copy(&s->frame->ch_layout, &s->encoder->ch_layout)) < 0 || (r = av_frame_get_buffer(s->frame, 0)) < 0) return r;
    if ((r = av_audio_fifo_read(s->fifo, (void **)s->frame->extended_data, n)) < 0) return r;
    s->position += n;
    r = avcodec_send_frame(s->encoder, s->frame);
    return r < 0 ? r : sound__drain(s, out);
}

/* Decodes into the fifo until it holds `samples` or the source ends. Damaged packets are passed over. */
static inline int sound__fill(sound *s, int samples)
{
    int r;
    while (av_audio_fifo_size(s->fifo) < samples) {
        r = avcodec_receive_frame(s->decoder, s->decoded);
        if (r >= 0) {
            if ((r = sound__take(s, s->decoded)) < 0) return r;
        } else if (r == AVERROR_EOF) {
            return sound__take(s, NULL);
        } else if (!s->ended) {
            if (sound__read(s))
                avcodec_send_packet(s->decoder, s->packet);
            else
                avcodec_send_packet(s->decoder, NULL);
        } else {
            return 0;
        }
    }
    return 0;
}

static inline int sound__reencode(sound *s, AVFormatContext *out, int64_t until, int last)
{
    const int64_t end = av_rescale_q(until, AV_TIME_BASE_Q, s->encoder->time_base);
    const int whole = s->encoder->frame_size > 0 ? s->encoder->frame_size : 1024;
    int r = 0, n;
    while (s->position < end && r >= 0) {
        if ((r = sound__fill(s, whole)) < 0) return r;
        n = av_audio_fifo_size(s->fifo);
        n = n < whole ? n : whole;
        if (last && n > end - s->position) n = (int)(end - s->position);
        if (n == 0) break;
        r = sound__encode(s, out, n);
    }
    if (!last || r < 0) return r;
    if ((r = avcodec_send_frame(s->encoder, NULL)) < 0) return r;
    return sound__drain(s, out);
}

/* Writes the sound up to `until`; last: this is where the pictures end. An AVERROR code, or 0. */
static inline int sound_write(sound *s, AVFormatContext *out, int64_t until, int last)
{
    return s->encoder ? sound__reencode(s, out, until, last) : sound__copy(s, out, until);
}

#endif
