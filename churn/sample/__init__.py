"""The sample company: synthetic customers, their dirt, and the services that give them out."""
