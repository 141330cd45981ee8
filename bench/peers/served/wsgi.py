"""The WSGI application of the peers that answer over HTTP."""

from django.conf import settings
from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
if hasattr(settings, "CELERY_BROKER_URL"):
    # Tasks are sent to this one's broker.
    from bench.peers.served import celery_app

    celery_app.app.set_default()
