"""All the questions we ask of Postgres, by family."""

from dataclasses import dataclass

from sqlalchemy import Engine, text

from pipeline.database.engine import connect, transaction
from pipeline.database.forgotten import Forgotten
from pipeline.database.jobs import Jobs
from pipeline.database.keys import Keys
from pipeline.database.lines import Lines
from pipeline.database.outbox import Outbox
from pipeline.database.runs import Runs
from pipeline.database.steps import Steps
from pipeline.database.surveys import Surveys
from pipeline.database.timings import Timings
from pipeline.database.waits import Waits


@dataclass(frozen=True, kw_only=True)
class Store:
    """One database."""

    engine: Engine
    keys: Keys
    jobs: Jobs
    steps: Steps
    runs: Runs
    forgotten: Forgotten
    lines: Lines
    outbox: Outbox
    timings: Timings
    surveys: Surveys
    waits: Waits

    @classmethod
    def at(cls, url: str) -> "Store":
        """The store in this database; nothing is connected before the first question."""
        engine = connect(url)
        return cls(
            engine=engine,
            keys=Keys(engine),
            jobs=Jobs(engine),
            steps=Steps(engine),
            runs=Runs(engine),
            forgotten=Forgotten(engine),
            lines=Lines(engine),
            outbox=Outbox(engine),
            timings=Timings(engine),
            surveys=Surveys(engine),
            waits=Waits(engine),
        )

    def ping(self) -> None:
        """Raises Unavailable when Postgres does not answer."""
        with transaction(self.engine) as connection:
            connection.execute(text("select 1"))

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()
