"""What the commands on buckets share: the buckets of a data folder, opened and closed."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from mediary.cli.media.session import perform
from mediary.cli.options import to_its_end
from mediary.errors import SettingsError
from mediary.settings import Settings

if TYPE_CHECKING:
    from mediary.buckets.library import BucketLibrary

T = TypeVar("T")

Bucket = Annotated[str, typer.Argument(metavar="BUCKET", help="The id of a bucket.", show_default=False)]

Work = Callable[["BucketLibrary"], Coroutine[Any, Any, T]]


def run(work: Work[T], data: Path | None, config: Path | None, *, new: bool = False) -> T:
    """Do the work on the buckets of a data folder, which must have some already unless they may be `new`."""

    async def in_buckets(settings: Settings) -> T:
        # imported here: `--help` should not wait for it
        from mediary.buckets.library import BucketLibrary
        from mediary.services import Services

        if not new:
            check_folder(settings)
        services = Services(settings)
        try:
            return await work(BucketLibrary(services.buckets))
        finally:
            await to_its_end(services.close())

    return perform(in_buckets, data, config)


def check_folder(settings: Settings) -> None:
    """SettingsError where there are no buckets: a mistyped folder is an error, and no new one."""
    if not settings.bucket_dir.is_dir():
        raise SettingsError(f"there are no buckets in {settings.data.absolute()}: name its data folder with --data")
