"""CityGuessr: the city, state, country and continent of a video."""
