r"""A video in, a summary out: an mp4 with its sound, a JSON, a storyboard, a plot.

python experiments/summarize_video.py --video=in.mp4 --output=summary.mp4
python experiments/summarize_video.py --video=in.mp4 --output=summary.mp4 --seconds=30
python experiments/summarize_video.py --video=in.mp4 --output=summary.mp4 \
    --checkpoint=runs/mine

Without a checkpoint, scores say how well a part stands for the whole video; nothing is
trained then, and all outputs say so. A checkpoint (or --weights) is the workdir of a
run of experiments/pglsum.py on features that experiments/extract_features.py made, or
of its setups summe_shots and tvsum_shots; or pglsum-tvsum, which comes with the
package.

Beside OUTPUT.mp4 stand OUTPUT.json (segments and shots in seconds, scores),
OUTPUT_storyboard.png and OUTPUT_scores.png. Each appears whole or not at all. All times
are those of a player: 0:00 is where the file begins, which may be before its picture.
The sound is the track that players take, or --audio=N, a language, or none. Features
are kept in the cache folder: another summary of the same video takes seconds.
"""

from gpsattn_jax import commands

if __name__ == "__main__":
    commands.run("summarize-video")
