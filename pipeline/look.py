"""How does a prediction go? Asked when it is likely to be over, and answered for as many as one request can."""

from pipeline.domain.answers import Answer
from pipeline.domain.hold import Hold
from pipeline.heed import asked
from pipeline.services import Services


def look(services: Services, hold: Hold, prediction_id: str) -> Answer:
    """Ask the provider how it goes."""
    provider = services.provider(hold.account)
    return asked(services, hold, lambda: provider.status(prediction_id))
