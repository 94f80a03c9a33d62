"""Videos by `/videos`: a job is begun, followed to its end, and what came of it is fetched."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from urllib.parse import quote

from mediary.errors import ProviderError
from mediary.events import Event, Finish, FinishReason, Media, Usage
from mediary.providers.base import TurnRequest
from mediary.providers.http.counting import count_tokens
from mediary.providers.http.encoding import work_on
from mediary.providers.http.fetching import Wait, media_behind
from mediary.providers.http.jobs import Errands, Following
from mediary.providers.http.service import Service
from mediary.providers.openai.video_forms import Way, may_follow, ways_of
from mediary.providers.openai.video_jobs import VideoJob, read_job

LABEL = "Video"
LATE_SECONDS = 1.0
"""Seconds that are left to a service for telling the id of a job that nobody waits for any more."""
GIVE_UP_SECONDS = 5.0
"""Seconds for telling the service that nobody waits for a video any more."""


Begun = tuple[Service, VideoJob, Mapping[str, str]]
"""Where a job is, the job, and the headers of the answer that told of it."""


class VideoHabit:
    """The way to ask that a service took, once that is known; `errands` outlive a turn."""

    def __init__(self) -> None:
        self.way: Way | None = None
        self.errands = Errands()


async def make_videos(service: Service, request: TurnRequest, habit: VideoHabit) -> AsyncGenerator[Event | Media, None]:
    """A video of the prompt, beginning with the picture of the user's last message if there is one.

    How long it takes to be made is bounded by the turn's time alone. If that ends before the video is there, the
    service is told to let go of it.
    """
    wait = Wait.of(request)
    beginning = asyncio.create_task(_begin(service, request, habit, wait))
    try:
        service, job, headers = await asyncio.shield(beginning)
    except asyncio.CancelledError:
        habit.errands.begin(_give_up_late(beginning))
        raise
    following = Following(
        service.name, job, headers, lambda seconds: _look(service, job.id or "", seconds), wait.deadline
    )
    try:
        async with aclosing(following.events(LABEL)) as states:
            async for state in states:
                yield state
    finally:
        if job.id and not following.job.is_over:
            habit.errands.begin(_give_up(service, job.id))
    made = following.job
    if made.failure:
        raise service.hiding(made.failure)
    for link in made.links or (f"{service.base_url.rstrip('/')}{_path(made.id or '')}/content",):
        async with aclosing(media_behind(service, link, "video", request.prompt, wait)) as videos:
            async for video in videos:
                yield video
    if usage := _usage(made):
        yield Usage(usage=usage, model=request.model, provider=service.name)
    yield Finish(finish=FinishReason(reason="stop"))


async def _begin(service: Service, request: TurnRequest, habit: VideoHabit, wait: Wait) -> Begun:
    """Ask for the video, in the ways that there are until one is taken: where the job is, and what was told of it."""
    service, ways = ways_of(service)
    if habit.way and service.trusted:
        ways = (habit.way,)
    while True:
        way, *others = ways
        body, content_type = await work_on(request, way.write, request)
        try:
            async with service.open(
                "POST", way.path, total=wait.left, body=body, content_type=content_type, headers=request.headers
            ) as answer:
                job = await read_job(service.name, answer)
        except ProviderError as error:
            ways = [other for other in others if may_follow(error, way, other)]
            if not ways:
                raise
        else:
            if service.trusted:
                habit.way = way
            return service, job, answer.headers


async def _look(service: Service, job: str, seconds: float) -> tuple[VideoJob, Mapping[str, str]]:
    async with service.open("GET", _path(job), total=seconds) as answer:
        return await read_job(service.name, answer, job), answer.headers


async def _give_up(service: Service, job: str) -> None:
    """Have the job ended and forgotten, where the service can."""
    async with service.open("DELETE", _path(job), total=GIVE_UP_SECONDS) as answer:
        await answer.drain()


async def _give_up_late(beginning: "asyncio.Task[Begun]") -> None:
    """The same for a job whose id was not told yet."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LATE_SECONDS):
            service, job, _ = await beginning
        if job.id:
            await _give_up(service, job.id)


def _path(job: str) -> str:
    """Where a job is; what some write behind its id is no part of that."""
    return f"/videos/{quote(job.partition('?')[0], safe='')}"


def _usage(job: VideoJob) -> dict[str, object]:
    """What the service counted, and how long the video is."""
    told = count_tokens(job.usage) if any("tokens" in name for name in job.usage) else job.usage
    return told | ({} if job.length is None else {"seconds": job.length})
