/// The version of Krylens, written into every result.
public let krylensVersion = "1.0.0"
