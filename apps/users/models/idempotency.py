"""Answers to requests that are carried out once."""

from __future__ import annotations

from django.db import models


class IdempotentAnswer(models.Model):
    """The answer to a request that named an Idempotency-Key."""

    caller = models.CharField(max_length=64)
    """SHA-256 of what the caller authenticated with."""
    key = models.CharField(max_length=100)
    request = models.CharField(max_length=64)
    """SHA-256 of route and body."""
    status = models.PositiveSmallIntegerField(default=0)
    """Of the answer; 0 while the request is carried out."""
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "api_idempotentanswer"
        constraints = [
            models.UniqueConstraint(fields=["caller", "key"], name="one_answer_per_caller_and_key")
        ]
        indexes = [models.Index(fields=["created_at"], name="answers_by_age")]

    def __str__(self) -> str:
        return f"{self.key}: {self.status}"
