r"""A video in, a summary out: an mp4 with its sound, a JSON, a storyboard, a plot.

python experiments/summarize_video.py --video=in.mp4 --output=summary.mp4
python experiments/summarize_video.py --video=in.mp4 --output=summary.mp4 --seconds=30
python experiments/summarize_video.py --video=in.mp4 --output=summary.mp4 \
    --checkpoint=runs/mine

The same as `gpsattn summarize-video`; --help says more.
"""

from gpsattn_jax import commands

if __name__ == "__main__":
    commands.run("summarize-video")
