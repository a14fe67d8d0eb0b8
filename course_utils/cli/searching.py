"""`course search`: pictures found by a text, or by another picture."""

from pathlib import Path

from course_utils.cli import names, output


def search(
    query: str | None,
    recipe_name: str,
    k: int,
    out: Path,
    folder: Path | None,
    dataset: str | None,
    image: Path | None,
    as_json: bool,
) -> int:
    """The sub-command `search`.

    Raises:
        UsageError: not one of query and image, both folder and dataset, or k below 1.
        Failure: the recipe's model is no CLIP.
        FileNotFoundError, ValueError: as `clip.gallery`; also for k larger than the gallery.
    """
    if (query is None) == (image is None):
        raise names.UsageError("give either a text to look for, or a picture with --image FILE")
    if folder is not None and dataset is not None:
        raise names.UsageError("give either --folder or --dataset, not both")
    if k < 1:
        raise names.UsageError(f"-k is {k}, but must be at least 1")
    recipe = names.recipe(recipe_name)
    from course_utils import plots, training
    from course_utils.clip import gallery as galleries
    from course_utils.clip.recipes import SEARCHABLE, embed_pictures, embed_texts

    if recipe_name not in SEARCHABLE:
        raise names.Failure(f"{recipe_name} is no CLIP, and finds nothing; these do: {', '.join(SEARCHABLE)}")
    model, searchable = training.load(recipe), SEARCHABLE[recipe_name]
    size, channels = model.config.image_size, model.config.in_channels
    if folder is None and dataset is None:
        images, texts = searchable.gallery()
        vectors = embed_pictures(model, images)
    else:
        gallery = galleries.dataset_gallery(dataset) if folder is None else galleries.folder_gallery(folder)
        vectors, texts = galleries.embed_gallery(model, gallery), gallery.names
    if image is None:
        asked = embed_texts(model, searchable.ids([query]))
    else:
        asked = embed_pictures(model, galleries.file_gallery(image).images([0], size, channels))
    found = galleries.Index.build(vectors, texts, recipe_name).search(asked, k)
    rows = found.indices[0].tolist()
    pictures = images[rows] if folder is None and dataset is None else gallery.images(rows, size, channels)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(plots.png(plots.sheet(pictures, columns=3), zoom=3))
    table = [
        {"place": place, "similarity": score, "picture": texts[row]}
        for place, (row, score) in enumerate(zip(rows, found.scores[0].tolist(), strict=True), start=1)
    ]
    output.show(table, f"{query or image}, among {len(texts)} pictures", as_json)
    if not as_json:
        print(f"{k} pictures in {out.resolve()}")
    return 0
