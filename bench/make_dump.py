"""Makes a dump of posts as the archives have them: Zstandard with a window of 2 GiB, a post a line, oldest first.

`make_dump.py FILE MEGABYTES SUBREDDIT` writes about so many decimal megabytes of text, in which one post in a hundred is
of SUBREDDIT: a text post, so that whoever collects them has no photo to fetch. Prints {"bytes": .., "posts": .., "of_subreddit": ..}.
"""

import argparse
import json
import pathlib
import random

import zstandard

WINDOW_LOG = 31
LEVEL = 9
WANTED_EVERY = 100
# The first second of a month, and the time between two posts.
FIRST, STEP = 1_651_363_200, 2
WORDS = 20_000
OTHERS = ("AskReddit", "funny", "pics", "worldnews", "gaming", "aww", "memes", "news", "todayilearned", "wallpapers")
# What every post carries, as null, false or nothing.
EMPTY = {
    name: None
    for name in """approved_at_utc approved_by author_cakeday author_flair_background_color author_flair_css_class
    author_flair_template_id author_flair_text author_flair_text_color banned_at_utc banned_by category content_categories
    discussion_type distinguished likes link_flair_css_class link_flair_template_id link_flair_text media
    mod_note mod_reason_by mod_reason_title mod_reports num_reports parent_whitelist_status removal_reason removed_by
    removed_by_category report_reasons secure_media suggested_sort top_awarded_type view_count whitelist_status""".split()
} | {
    name: False
    for name in """archived author_is_blocked author_patreon_flair author_premium can_gild can_mod_post clicked
    contest_mode edited hidden hide_score is_created_from_ads_ui is_crosspostable is_meta is_original_content
    is_reddit_media_domain is_robot_indexable is_video locked media_only no_follow over_18 pinned quarantine saved
    spoiler stickied visited""".split()
} | {
    name: []
    for name in "all_awardings author_flair_richtext awarders link_flair_richtext treatment_tags user_reports".split()
}


class Writer:
    """Writes texts of made-up words, few of which are frequent."""

    def __init__(self, rng):
        self.rng = rng
        self.words = ["".join(rng.choices("etaoinshrdlu", k=rng.randrange(1, 10))) for _ in range(WORDS)]

    def text(self, count):
        return " ".join(self.words[int(WORDS * self.rng.random() ** 3)] for _ in range(count))


def post(rng, writer, number, subreddit):
    name = format(60_000_000_000 + number, "x")
    title = writer.text(rng.randrange(3, 18))
    link = f"/r/{subreddit}/comments/{name}/{title[:40].replace(' ', '_')}/"
    return EMPTY | {
        "author": f"user_{rng.getrandbits(24):x}",
        "author_fullname": f"t2_{rng.getrandbits(40):x}",
        "created_utc": FIRST + STEP * number,
        "domain": f"self.{subreddit}",
        "gilded": 0,
        "gildings": {},
        "id": name,
        "is_self": True,
        "media_embed": {},
        "name": f"t3_{name}",
        "num_comments": rng.randrange(500),
        "num_crossposts": 0,
        "permalink": link,
        "pwls": 6,
        "retrieved_on": FIRST + STEP * number + 90_000,
        "score": rng.randrange(5_000),
        "secure_media_embed": {},
        "selftext": writer.text(rng.choice((0, 0, 5, 20, 60, 180))),
        "subreddit": subreddit,
        "subreddit_id": f"t5_{len(subreddit)}{subreddit[:2]}",
        "subreddit_name_prefixed": f"r/{subreddit}",
        "subreddit_subscribers": rng.randrange(30_000_000),
        "subreddit_type": "public",
        "thumbnail": "self",
        "title": title,
        "total_awards_received": 0,
        "ups": rng.randrange(5_000),
        "upvote_ratio": rng.randrange(50, 100) / 100,
        "url": f"https://www.reddit.com{link}",
        "wls": 6,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("megabytes", type=int)
    parser.add_argument("subreddit")
    arguments = parser.parse_args()
    rng = random.Random(7)
    writer = Writer(rng)
    written = posts = wanted = 0
    parameters = zstandard.ZstdCompressionParameters.from_level(LEVEL, window_log=WINDOW_LOG, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    with open(arguments.file, "wb") as file, compressor.stream_writer(file) as out:
        while written < arguments.megabytes * 1_000_000:
            is_wanted = posts % WANTED_EVERY == 0
            subreddit = arguments.subreddit if is_wanted else rng.choice(OTHERS)
            line = json.dumps(post(rng, writer, posts, subreddit)).encode() + b"\n"
            out.write(line)
            written += len(line)
            posts += 1
            wanted += is_wanted
    print(json.dumps({"bytes": written, "posts": posts, "of_subreddit": wanted}))


if __name__ == "__main__":
    main()
