"""MLflow's runs and registered models, asked without importing MLflow where that takes seconds."""
