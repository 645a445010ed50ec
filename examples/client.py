"""Uses a running desk from a program: a scene becomes a video, one shot of it is taken anew, and it gets a scorecard.

python app.py &
python examples/client.py http://127.0.0.1:7860
"""

import argparse
import shutil
from pathlib import Path

from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "url", nargs="?", default="http://127.0.0.1:7860", help="address of the desk, or a Space's name"
    )
    parser.add_argument("--storyboard", type=Path, help="a YAML or JSON file; a surprise if it is left out")
    parser.add_argument("--steps", type=int, help="denoising steps; the model's own number if left out")
    parser.add_argument("--retake", type=int, metavar="SHOT", help="a shot, counted from 1, to make anew afterwards")
    parser.add_argument("--versions", type=int, metavar="N", help="then make N versions that differ in their seed")
    parser.add_argument("-o", "--out", type=Path, default=Path("video.mp4"))
    options = parser.parse_args()

    desk = Client(options.url, verbose=False)
    storyboard = options.storyboard.read_text() if options.storyboard else desk.predict(7, api_name="/surprise")
    plan = desk.predict(storyboard, api_name="/plan_storyboard")
    for finding in plan["findings"]:
        print(finding)

    video, made = desk.predict(storyboard, steps=options.steps, api_name="/storyboard_to_video")
    shutil.copyfile(video, options.out)
    print(f"{options.out}: {made['num_frames']} frames, seed {made['seed']}, cuts at {made['cuts']}")

    if options.retake is not None:
        video, made = desk.predict(handle_file(str(options.out)), shot=options.retake, api_name="/retake")
        shutil.copyfile(video, options.out)
        print(f"shot {options.retake} was taken anew with seed {made['seed']}; takes: {made['takes']}")

    if options.versions is not None:
        videos, told = desk.predict(storyboard, count=options.versions, api_name="/compare")
        for number, (video, version) in enumerate(zip(videos, told["versions"], strict=True), start=1):
            file = options.out.with_stem(f"{options.out.stem}_{number}")
            shutil.copyfile(video, file)
            print(f"{file}: {version['name']}, cuts detected at {version['detected']}, scores {version['scores']}")

    card = desk.predict(handle_file(str(options.out)), api_name="/video_to_scorecard")
    for name, metric in card["metrics"].items():
        if metric["value"] is not None:
            print(f"{name:28} {metric['value']:.3f}")


if __name__ == "__main__":
    try:
        main()
    except AppError as error:  # the desk's own sentence
        raise SystemExit(f"client: {error}") from None
