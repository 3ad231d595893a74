"""What the person on call is told without looking.

Belongs here: how old assets may become (freshness), what is wrong now (findings), which of that is
news (alerts), sending it (webhook). Does not belong here: what assets find (assets), when it is
looked (orchestration).
"""
