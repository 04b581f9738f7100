"""What an index keeps of a face besides embedding and sharpness, read off its mesh: how it stands, eyes and mouth."""

from twoface.core.mesh import Mesh

OPEN_EYE, OPEN_MOUTH = 0.3, 0.5  # height by width of an eye that is open, of a mouth that is wide open


def described(mesh: Mesh) -> dict[str, float]:
    """-> {"yaw", "pitch", "roll": degrees, "eyes_open", "mouth_open": 0 shut .. 1 open}."""
    eyes = (mesh.eye_open("left") + mesh.eye_open("right")) / 2
    opened = {"eyes_open": min(1.0, eyes / OPEN_EYE), "mouth_open": min(1.0, mesh.mouth_open / OPEN_MOUTH)}
    return {"yaw": mesh.pose.yaw, "pitch": mesh.pose.pitch, "roll": mesh.pose.roll} | opened
