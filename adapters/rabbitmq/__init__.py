"""RabbitMQ: the coordinators' bus on aio-pika, and the participants' transport on faststream."""

from adapters.rabbitmq.bus import RabbitBus

__all__ = ["RabbitBus"]
